/* The firmware of boards whose link is "small": as main.c, with fewer bytes. There is no banner but the byte 0 that ends
 * one, no PROFILE, no frames from a camera, and the self-test is of the tables alone. le_link.h describes the protocol.
 *
 * One buffer holds all: the memory of an inference in place, and around its image the message. */
#include <string.h>

#include "le_arch.h"
#include "le_board.h"
#include "le_crc32.h"
#include "le_link.h"
#include "le_model.h"
#include "le_port.h"
#include "le_self_test.h"

#define FIXED_HELLO_BYTES 52
#define HELLO_BYTES (FIXED_HELLO_BYTES + sizeof LE_BOARD_NAME - 1)
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#define LONGEST_BODY LARGER(LE_INPUT_BYTES, LARGER(HELLO_BYTES, 4 + LE_OUTPUTS))
#define MEMORY_AT (LE_IN_PLACE_IMAGE < LE_LINK_HEADER ? LE_LINK_HEADER : 0u)
#define MESSAGE_AT (MEMORY_AT + LE_IN_PLACE_IMAGE - LE_LINK_HEADER)

static union {
    uint32_t alignment;
    uint8_t bytes[LARGER(MEMORY_AT + LE_IN_PLACE_BYTES, MESSAGE_AT + LONGEST_BODY + LE_LINK_OVERHEAD)];
} buffer;
static le_link link;
static uint8_t self_test;

typedef char le_assert_messages_fit[LONGEST_BODY + LE_LINK_OVERHEAD <= 65534L ? 1 : -1];

/* Start-up has painted the stack: what no longer has the paint was used. */
static uint16_t stack_used(void)
{
    const uint8_t *at = le_stack_bottom;
    while (at < le_stack_top && *at == LE_STACK_PAINT) {
        at++;
    }
    return (uint16_t)(le_stack_top - at);
}

/* HELLO's reply but for what is known on the device only. */
static LE_TABLE uint8_t about[] = LE_SMALL_HELLO;
#define SELF_TEST_AT 1
#define COUNTER_UNIT_AT 2
#define STACK_USED_AT 12
#define BUFFER_BYTES_AT 16

typedef char le_assert_hello_is_whole[sizeof about == HELLO_BYTES ? 1 : -1];

static void hello(uint8_t *body)
{
    for (uint8_t i = 0; i < sizeof about; i++) {
        body[i] = about[i];
    }
    body[SELF_TEST_AT] = self_test;
    body[COUNTER_UNIT_AT] = port_counter_unit;
    (void)le_link_store16(body + STACK_USED_AT, stack_used());
    (void)le_link_store16(body + BUFFER_BYTES_AT, (uint16_t)(le_bss_end - le_data_start));
    le_link_reply(&link, LE_LINK_HELLO, HELLO_BYTES, port_putc);
}

/* As le_infer_in_place, but for the class, which nobody asks for here. */
LE_NOINLINE static void le_infer_small(int8_t *logits)
{
    for (uint8_t step = 0; step < LE_STEPS; step++) {
        le_infer_step_in_place((le_in_place *)(buffer.bytes + MEMORY_AT), logits, step);
    }
}

/* Emulators count the instructions of an inference from le_infer_small until control is back here. */
LE_NOINLINE static void infer(uint8_t *body)
{
    int8_t logits[LE_OUTPUTS];
    const uint16_t id = le_link_id(&link); /* which the inference overwrites */
    const uint32_t before = port_counter();
    le_infer_small(logits);
    (void)le_link_store32(body, (port_counter() - before) & port_counter_mask);
    memcpy(body + 4, logits, LE_OUTPUTS);
    (void)le_link_store16(body - 2, id);
    le_link_reply(&link, LE_LINK_INFER, 4 + LE_OUTPUTS, port_putc);
}

static void leave(uint8_t code)
{
    le_link_reply(&link, LE_LINK_EXIT, 0, port_putc);
    port_exit(code);
}

/* Answers a request, or returns what is wrong with it. */
static uint8_t answer(void)
{
    uint8_t *const body = le_link_body(&link);
    const uint16_t length = le_link_body_length(&link);
    switch (le_link_type(&link)) {
    case LE_LINK_HELLO:
        if (length != 0) {
            return LE_LINK_BAD_LENGTH;
        }
        hello(body);
        return 0;
    case LE_LINK_INFER:
        if (length != LE_INPUT_BYTES) {
            return LE_LINK_BAD_LENGTH;
        }
        if (self_test != LE_SELF_TEST_PASSED) {
            return LE_LINK_SELF_TEST;
        }
        infer(body);
        return 0;
    case LE_LINK_EXIT:
        if (length != 1) {
            return LE_LINK_BAD_LENGTH;
        }
        leave(body[0]);
        return 0;
    default:
        return LE_LINK_UNKNOWN_TYPE;
    }
}

int main(void)
{
    port_init();
    le_link_init(&link, buffer.bytes + MESSAGE_AT, sizeof buffer.bytes - MESSAGE_AT);
    self_test = le_fold_tables(LE_CRC32_OF_TABLE) == LE_TABLE_CRC32 ? LE_SELF_TEST_PASSED : LE_SELF_TEST_TABLES;
    port_putc(0);

    for (;;) {
        const int result = le_link_receive(&link, port_getc());
        const uint8_t wrong = result == LE_LINK_MESSAGE ? answer() : result < 0 ? le_link_code(result) : 0;
        if (wrong) {
            le_link_error(&link, wrong, port_putc);
        }
    }
}
