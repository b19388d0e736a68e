#include "le_link.h"

#include "le_crc32.h"

#define BLOCK_MAX 254u  /* data bytes of the longest COBS block */
#define BLOCK_FULL 255u /* its code: no zero follows such a block */

void le_link_init(le_link *link, uint8_t *buffer, uint16_t capacity)
{
    link->buffer = buffer;
    link->capacity = capacity;
    link->length = 0;
    link->code = 0;
    link->left = 0;
    link->too_long = 0;
}

/* After: length <= capacity still holds. */
static void append(le_link *link, uint8_t byte)
{
    if (link->length < link->capacity) {
        link->buffer[link->length++] = byte;
    } else {
        link->too_long = 1;
    }
}

/* What is wrong with the frame that a delimiter has just ended, or 0.
 * Outside of the message nothing is read: the length is judged before anything that depends on it. */
static uint8_t judge(const le_link *link)
{
    if (link->too_long) {
        return LE_LINK_TOO_LONG;
    }
    if (link->left > 0) {
        return LE_LINK_BAD_FRAME;
    }
    if (link->length < LE_LINK_OVERHEAD) {
        return LE_LINK_TOO_SHORT;
    }
    if (le_crc32(0, link->buffer, link->length) != LE_CRC32_RESIDUE) {
        return LE_LINK_BAD_CRC;
    }
    return link->buffer[1] == 0 ? 0u : LE_LINK_UNKNOWN_TYPE;
}

static int delimiter(le_link *link)
{
    uint8_t wrong;
    if (link->code == 0) {
        return LE_LINK_NONE; /* an empty frame */
    }
    wrong = judge(link);
    link->code = 0;
    link->left = 0;
    return wrong ? LE_LINK_ERROR + (int)wrong : LE_LINK_MESSAGE;
}

int le_link_receive(le_link *link, uint8_t byte)
{
    if (byte == 0) {
        return delimiter(link);
    }
    if (link->left > 0) {
        link->left--;
        append(link, byte);
        return LE_LINK_NONE;
    }
    if (link->code == 0) { /* the first code of a frame */
        link->length = 0;
        link->too_long = 0;
    } else if (link->code != BLOCK_FULL) {
        append(link, 0); /* the zero that ended the block before; after the last block there is none */
    }
    link->code = byte;
    link->left = (uint8_t)(byte - 1u);
    return LE_LINK_NONE;
}

/* The length of the COBS block at data[0]: up to a zero, the end or the longest that there is. */
static uint8_t block_length(const uint8_t *data, uint16_t size)
{
    uint8_t length = 0;
    while (length < BLOCK_MAX && length < size && data[length] != 0) {
        length++;
    }
    return length;
}

/* Sends data[0..size) in COBS, and a delimiter. Needs: size from 1 to 65,534.
 * Data is read as if a zero followed it: each block shorter than the longest stands for its bytes and the
 * zero after them, and the last zero is the one that is not there. */
static void put_frame(const uint8_t *data, uint16_t size, void (*put)(uint8_t))
{
    uint16_t at = 0;
    do {
        uint8_t length = block_length(data + at, (uint16_t)(size - at));
        uint16_t const end = (uint16_t)(at + length);
        put((uint8_t)(length + 1u));
        while (at < end) {
            put(data[at++]);
        }
        if (length < BLOCK_MAX || at == size) {
            at++; /* past that zero */
        }
    } while (at <= size);
    put(0);
}

void le_link_reply(le_link *link, uint8_t type, uint16_t length, void (*put)(uint8_t))
{
    uint8_t *const message = link->buffer;
    uint16_t const size = (uint16_t)(length + LE_LINK_HEADER);
    message[0] = (uint8_t)(type | LE_LINK_REPLY);
    message[1] = 0;
    (void)le_link_store32(message + size, le_crc32(0, message, size));
    link->code = 0;
    link->left = 0;
    put_frame(message, (uint16_t)(length + LE_LINK_OVERHEAD), put);
}

void le_link_error(le_link *link, uint8_t code, void (*put)(uint8_t))
{
    if (code <= LE_LINK_BAD_CRC) {
        (void)le_link_store16(link->buffer + 2, 0);
    }
    link->buffer[LE_LINK_HEADER] = code;
    le_link_reply(link, LE_LINK_ERROR_REPLY, 1, put);
}

void le_link_fault(le_link *link, uint32_t program_counter, void (*put)(uint8_t))
{
    link->buffer[LE_LINK_HEADER] = LE_LINK_FAULT;
    (void)le_link_store32(link->buffer + LE_LINK_HEADER + 1, program_counter);
    put(0);
    le_link_reply(link, LE_LINK_ERROR_REPLY, 5, put);
}
