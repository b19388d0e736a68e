/* The framed protocol between host and device, device side. The host's side is lenet_edge/hardware/link/.
 *
 * A frame is a message in COBS (Cheshire and Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions
 * on Networking 7(2), 1999) and a delimiter 0x00. An empty frame is ignored, so that a host may send 0x00 to
 * get into step. All numbers are little-endian. A message:
 *
 *     type u8 | 0 u8 | id u16 | body | CRC-32 of all before it, u32
 *
 * A reply has the request's type with bit 7 set, and its id.
 *
 * What this does not do: it never allocates, never blocks (but in `put`), never reads or writes outside of the
 * one buffer that the caller owns, and holds one message: a request, in whose place the reply is built. */

#ifndef LE_LINK_H
#define LE_LINK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LE_LINK_PROTOCOL 1u /* the version that HELLO's reply tells */

/* Types of request: the body that comes -> the body of the reply. */
#define LE_LINK_HELLO 1u   /* empty -> what the device is, see Hello in link/hello.py */
#define LE_LINK_INFER 2u   /* image -> counter u32, logits */
#define LE_LINK_PROFILE 3u /* image -> counter u32 per step, logits */
#define LE_LINK_EXIT 4u    /* exit code u8 -> empty */
#define LE_LINK_FRAME_BEGIN 5u /* these three only in firmware built for frames; bodies in le_frames.h */
#define LE_LINK_FRAME_ROWS 6u
#define LE_LINK_FRAME_END 7u
#define LE_LINK_REPLY 0x80u
#define LE_LINK_ERROR_REPLY 0xFFu /* code u8; for LE_LINK_FAULT also program counter u32 */

/* Codes of error. Up to LE_LINK_BAD_CRC the message is not to be trusted, its id included. */
#define LE_LINK_BAD_FRAME 1u /* a delimiter within a COBS block */
#define LE_LINK_TOO_LONG 2u
#define LE_LINK_TOO_SHORT 3u
#define LE_LINK_BAD_CRC 4u
#define LE_LINK_UNKNOWN_TYPE 5u /* also: the reserved byte is not 0 */
#define LE_LINK_BAD_LENGTH 6u   /* of the body, for this type */
#define LE_LINK_SELF_TEST 7u    /* the self-test failed: the device refuses to infer */
#define LE_LINK_FAULT 8u        /* the processor faulted: the last words of the fault handler */
#define LE_LINK_FRAME 9u        /* a frame that cannot be prepared: what is wrong i8, bytes of the longest row u16 */
#define LE_LINK_ORDER 10u       /* rows or an end out of order: begun u8, then pass u8, 0 u8, row u16 to go on with */

/* What le_link_receive returns; malformed: LE_LINK_ERROR + code, which is negative. */
#define LE_LINK_NONE 0
#define LE_LINK_MESSAGE 1
#define LE_LINK_ERROR (-64)

#define LE_LINK_HEADER 4u   /* bytes before the body */
#define LE_LINK_OVERHEAD 8u /* bytes of a message that are not its body */

typedef struct {
    uint8_t *buffer;   /* 4-byte aligned: the body, at buffer + 4, is so too */
    uint16_t capacity; /* of the buffer, bytes */
    uint16_t length;   /* bytes of the message in the buffer, never above capacity */
    uint8_t code;      /* of the COBS block that is being read; 0 between frames */
    uint8_t left;      /* bytes of that block still to come */
    uint8_t too_long;  /* 1 once a byte of this frame found no room */
} le_link;

/* Needs: capacity from 17 (the longest error reply) to 65,534, at least the longest body, of a request or of
 * a reply, + LE_LINK_OVERHEAD. The buffer may be shared between calls, but for what a message holds. */
void le_link_init(le_link *link, uint8_t *buffer, uint16_t capacity);

/* Takes one received byte.
 * LE_LINK_NONE: a frame is incomplete, or was empty. LE_LINK_MESSAGE: a valid message is in the buffer, of
 * which the accessors below tell; it stays there until the next byte is received or a reply is built.
 * LE_LINK_ERROR + code: the frame was malformed; all of it is consumed and the next byte begins a new one.
 * Codes from here: BAD_FRAME, TOO_LONG (which outranks it), TOO_SHORT, BAD_CRC, UNKNOWN_TYPE (reserved byte);
 * types and body lengths are the caller's to judge. */
int le_link_receive(le_link *link, uint8_t byte);

/* Sends the reply whose body of `length` bytes lies in le_link_body() already. Header and CRC are written
 * around it, so the buffer's id must still be the request's. Bit 7 of the type is set here.
 * Needs: length + LE_LINK_OVERHEAD <= capacity. After: the link is ready for the next frame. */
void le_link_reply(le_link *link, uint8_t type, uint16_t length, void (*put)(uint8_t));

/* Sends an error reply with the request's id, or with id 0 for the codes up to LE_LINK_BAD_CRC. */
void le_link_error(le_link *link, uint8_t code, void (*put)(uint8_t));

/* Sends LE_LINK_FAULT with the program counter, for a fault handler: first a delimiter, since the fault may
 * have struck in the middle of a reply. The message in the buffer is overwritten. */
void le_link_fault(le_link *link, uint32_t program_counter, void (*put)(uint8_t));

/* Accessors: of a message that le_link_receive has just announced. */
static inline uint8_t le_link_type(const le_link *link)
{
    return link->buffer[0];
}

static inline uint16_t le_link_id(const le_link *link)
{
    return (uint16_t)(link->buffer[2] | (uint16_t)((uint16_t)link->buffer[3] << 8));
}

static inline uint8_t *le_link_body(const le_link *link)
{
    return link->buffer + LE_LINK_HEADER;
}

static inline uint16_t le_link_body_length(const le_link *link)
{
    return (uint16_t)(link->length - LE_LINK_OVERHEAD);
}

/* The code of a negative result of le_link_receive. */
static inline uint8_t le_link_code(int result)
{
    return (uint8_t)(result - LE_LINK_ERROR);
}

/* Write a number in little-endian order, whatever the alignment. Return: the byte after it. */
static inline uint8_t *le_link_store16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value & 0xFFu);
    at[1] = (uint8_t)(value >> 8);
    return at + 2;
}

static inline uint8_t *le_link_store32(uint8_t *at, uint32_t value)
{
    at = le_link_store16(at, (uint16_t)(value & 0xFFFFu));
    return le_link_store16(at, (uint16_t)(value >> 16));
}

#ifdef __cplusplus
}
#endif

#endif
