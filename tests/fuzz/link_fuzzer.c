/* libFuzzer entry point for the device's side of the link: any byte stream, in a buffer of any size.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ifirmware/app tests/fuzz/link_fuzzer.c \
 *         firmware/app/le_link.c firmware/app/le_crc32.c -o link_fuzzer && ./link_fuzzer
 *
 * Held, besides what the sanitizers see: the length stays within the capacity; what is sent decodes to what was
 * meant; and after any input a good frame is still answered. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "le_crc32.h"
#include "le_link.h"

#define CAPACITY_MIN 17u
#define SENT_MAX 2048u

static uint8_t sent[SENT_MAX];
static size_t sent_size;

static void put(uint8_t byte)
{
    if (sent_size == SENT_MAX) {
        abort();
    }
    sent[sent_size++] = byte;
}

#define HOLD(condition)                                     \
    do {                                                    \
        if (!(condition)) {                                 \
            fprintf(stderr, "does not hold: " #condition "\n"); \
            abort();                                        \
        }                                                   \
    } while (0)

/* What was sent is one frame; it is in `link` after. */
static void receive_what_was_sent(le_link *link)
{
    size_t at;
    for (at = 0; at + 1 < sent_size; at++) {
        HOLD(le_link_receive(link, sent[at]) == LE_LINK_NONE);
    }
    HOLD(le_link_receive(link, sent[at]) == LE_LINK_MESSAGE);
    sent_size = 0;
}

/* Answers as firmware would: an echo, or the error. */
static void answer(le_link *link, le_link *host, int result)
{
    uint16_t id = result == LE_LINK_MESSAGE || result == LE_LINK_ERROR + (int)LE_LINK_UNKNOWN_TYPE ? le_link_id(link) : 0;
    if (result == LE_LINK_MESSAGE) {
        le_link_reply(link, le_link_type(link), le_link_body_length(link), put);
    } else {
        le_link_error(link, le_link_code(result), put);
    }
    receive_what_was_sent(host);
    HOLD(le_link_id(host) == id);
    if (result != LE_LINK_MESSAGE) {
        HOLD(le_link_type(host) == LE_LINK_ERROR_REPLY);
        HOLD(le_link_body_length(host) == 1);
        HOLD(le_link_body(host)[0] == le_link_code(result));
    }
}

static void receive(le_link *link, le_link *host, uint8_t byte)
{
    int result = le_link_receive(link, byte);
    HOLD(link->length <= link->capacity);
    HOLD(result == LE_LINK_NONE || byte == 0);
    if (result != LE_LINK_NONE) {
        HOLD(result == LE_LINK_MESSAGE || (result < 0 && le_link_code(result) >= 1 && le_link_code(result) <= 5));
        answer(link, host, result);
    }
}

/* HELLO with id 0x1234, to a link that has seen anything. */
static void receive_hello(le_link *link)
{
    uint8_t storage[CAPACITY_MIN];
    le_link maker;
    size_t at;
    int result = LE_LINK_NONE;
    le_link_init(&maker, storage, sizeof storage);
    (void)le_link_store16(storage + 2, 0x1234);
    le_link_reply(&maker, LE_LINK_HELLO, 0, put);
    (void)le_link_receive(link, 0);
    for (at = 0; at < sent_size; at++) {
        HOLD(result == LE_LINK_NONE);
        result = le_link_receive(link, sent[at]);
    }
    HOLD(result == LE_LINK_MESSAGE);
    HOLD(le_link_id(link) == 0x1234);
    HOLD(le_link_body_length(link) == 0);
    sent_size = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint16_t capacity;
    uint8_t *buffers[2];
    le_link link;
    le_link host;
    size_t at;
    if (size < 2) {
        return 0;
    }
    capacity = (uint16_t)(CAPACITY_MIN + (data[0] | (data[1] & 3u) << 8));
    buffers[0] = (uint8_t *)calloc(1, capacity);
    buffers[1] = (uint8_t *)calloc(1, capacity);
    HOLD(buffers[0] && buffers[1]);
    le_link_init(&link, buffers[0], capacity);
    le_link_init(&host, buffers[1], capacity);
    for (at = 2; at < size; at++) {
        receive(&link, &host, data[at]);
    }
    receive_hello(&link);
    free(buffers[0]);
    free(buffers[1]);
    return 0;
}
