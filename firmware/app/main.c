/* The firmware: banner, self-test, then requests for ever. le_link.h describes the protocol. */
#include <string.h>

#include "le_arch.h"
#include "le_board.h"
#include "le_frames.h"
#include "le_link.h"
#include "le_memory.h"
#include "le_port.h"
#include "le_self_test.h"

#define FIXED_HELLO_BYTES 52
#define PROFILE_BYTES (4 * LE_STEPS + LE_OUTPUTS)
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#ifdef LE_FRAME_ROW_BYTES
#define LONGEST_REQUEST LARGER(LE_INPUT_BYTES + 8 + LE_OUTPUTS, LE_FRAME_ROW_BYTES + LE_FRAME_HEAD)
#else
#define LONGEST_REQUEST LE_INPUT_BYTES
#endif
#define LONGEST_BODY LARGER(LARGER(LONGEST_REQUEST, PROFILE_BYTES), 96)

/* The one buffer for messages: an image stays where it was received, and the reply is built there. In place it lies around
 * the image of an inference's memory. */
#ifdef LE_IN_PLACE
#define MEMORY_AT (LE_IN_PLACE_IMAGE < LE_LINK_HEADER ? LE_LINK_HEADER : 0u)
#define BUFFER_AT (MEMORY_AT + LE_IN_PLACE_IMAGE - LE_LINK_HEADER)
static union {
    uint32_t alignment;
    uint8_t bytes[LARGER(MEMORY_AT + LE_IN_PLACE_BYTES, BUFFER_AT + LONGEST_BODY + LE_LINK_OVERHEAD)];
} buffer;
#define MEMORY ((le_memory *)(buffer.bytes + MEMORY_AT))
#else
#define BUFFER_AT 0u
static union {
    uint32_t alignment;
    uint8_t bytes[LONGEST_BODY + LE_LINK_OVERHEAD];
} buffer;
static le_memory workspace;
#define MEMORY (&workspace)
#endif
static le_link link;
static uint8_t self_test;

typedef char le_assert_hello_fits[FIXED_HELLO_BYTES + sizeof LE_BOARD_NAME <= LONGEST_BODY ? 1 : -1];
typedef char le_assert_messages_fit[LONGEST_BODY + LE_LINK_OVERHEAD <= 65534L ? 1 : -1];

/* On an AVR such a pointer reaches flash, where the banner stays, and RAM. */
static void print(LE_TABLE char *text)
{
    while (*text) {
        port_putc((uint8_t)*text++);
    }
}

/* Start-up has painted the stack: what no longer has the paint was used. */
static uint16_t stack_used(void)
{
    const uint8_t *at = le_stack_bottom;
    while (at < le_stack_top && *at == LE_STACK_PAINT) {
        at++;
    }
    return (uint16_t)(le_stack_top - at);
}

static void hello(void)
{
    static const uint8_t fingerprint[32] = LE_FINGERPRINT_BYTES;
    uint8_t *const body = le_link_body(&link);
    uint8_t *at = body;
    *at++ = LE_LINK_PROTOCOL;
    *at++ = self_test;
    *at++ = port_counter_unit;
    *at++ = LE_STEPS;
    at = le_link_store32(at, LE_CLOCK_HZ);
    at = le_link_store16(at, LE_INPUT_BYTES);
    at = le_link_store16(at, LE_OUTPUTS);
    at = le_link_store16(at, stack_used());
    at = le_link_store16(at, (uint16_t)(le_stack_top - le_stack_bottom));
    at = le_link_store32(at, (uint32_t)(le_bss_end - le_data_start));
    memcpy(at, fingerprint, sizeof fingerprint);
    memcpy(at + sizeof fingerprint, LE_BOARD_NAME, sizeof LE_BOARD_NAME - 1);
    le_link_reply(&link, LE_LINK_HELLO, FIXED_HELLO_BYTES + sizeof LE_BOARD_NAME - 1, port_putc);
}

/* The number of the request, which an inference in place overwrites and the reply needs. */
static inline uint16_t keep_id(void)
{
#ifdef LE_IN_PLACE
    return le_link_id(&link);
#else
    return 0;
#endif
}

static inline void restore_id(uint16_t id)
{
    (void)id;
#ifdef LE_IN_PLACE
    (void)le_link_store16(link.buffer + 2, id);
#endif
}

/* Emulators count the instructions of an inference from le_infer_with, or le_infer_in_place, until control is back in the
 * function that called it, so each caller is its own function. */
static __attribute__((noinline)) void infer(void)
{
    int8_t logits[LE_OUTPUTS];
    uint8_t *const body = le_link_body(&link);
    const uint16_t id = keep_id();
    const uint32_t before = port_counter();
    le_run(MEMORY, (const int8_t *)body, logits);
    (void)le_link_store32(body, (port_counter() - before) & port_counter_mask);
    restore_id(id);
    memcpy(body + 4, logits, LE_OUTPUTS);
    le_link_reply(&link, LE_LINK_INFER, 4 + LE_OUTPUTS, port_putc);
}

static void profile(void)
{
    int8_t logits[LE_OUTPUTS];
    uint32_t counts[LE_STEPS];
    uint8_t *at = le_link_body(&link);
    const uint16_t id = keep_id();
    for (uint8_t step = 0; step < LE_STEPS; step++) {
        const uint32_t before = port_counter();
        le_run_step(MEMORY, (const int8_t *)at, logits, step);
        counts[step] = (port_counter() - before) & port_counter_mask;
    }
    restore_id(id);
    for (uint8_t step = 0; step < LE_STEPS; step++) {
        at = le_link_store32(at, counts[step]);
    }
    memcpy(at, logits, LE_OUTPUTS);
    le_link_reply(&link, LE_LINK_PROFILE, PROFILE_BYTES, port_putc);
}

static void leave(void)
{
    const uint8_t code = le_link_body(&link)[0];
    le_link_reply(&link, LE_LINK_EXIT, 0, port_putc);
    port_exit(code);
}

#ifdef LE_FRAME_ROW_BYTES
static void frame_begin(void)
{
    le_frame_begin(&link);
}

static void frame_rows(void)
{
    le_frame_rows(&link);
}

static void frame_end(void)
{
    le_frame_end(&link, MEMORY);
}
#endif

/* Every request, the length of its body, and whether it needs a model that passed its self-test. */
static const struct {
    void (*answer)(void);
    uint16_t body_length;
    uint8_t infers;
} requests[] = {
    {hello, 0, 0}, /* LE_LINK_HELLO, 1 */
    {infer, LE_INPUT_BYTES, 1},
    {profile, LE_INPUT_BYTES, 1},
    {leave, 1, 0},
#ifdef LE_FRAME_ROW_BYTES
    {frame_begin, 5, 1},
    {frame_rows, LONGEST_BODY, 1}, /* or shorter: it judges the length itself */
    {frame_end, 1, 1},
#endif
};

static inline uint8_t wrong_length(uint8_t index)
{
#ifdef LE_FRAME_ROW_BYTES
    if (index == LE_LINK_FRAME_ROWS - LE_LINK_HELLO) {
        return 0;
    }
#endif
    return le_link_body_length(&link) != requests[index].body_length;
}

static void answer(void)
{
    const uint8_t index = (uint8_t)(le_link_type(&link) - LE_LINK_HELLO);
    if (index >= sizeof requests / sizeof requests[0]) {
        le_link_error(&link, LE_LINK_UNKNOWN_TYPE, port_putc);
    } else if (wrong_length(index)) {
        le_link_error(&link, LE_LINK_BAD_LENGTH, port_putc);
    } else if (requests[index].infers && self_test != LE_SELF_TEST_PASSED) {
        le_link_error(&link, LE_LINK_SELF_TEST, port_putc);
    } else {
        requests[index].answer();
    }
}

void le_fault(uint32_t program_counter)
{
    le_link_init(&link, buffer.bytes + BUFFER_AT, sizeof buffer.bytes - BUFFER_AT);
    le_link_fault(&link, program_counter, port_putc);
    port_exit(1);
}

int main(void)
{
    static LE_TABLE char banner[] = LE_BANNER;
    port_init();
    print(banner);
    le_link_init(&link, buffer.bytes + BUFFER_AT, sizeof buffer.bytes - BUFFER_AT);
    self_test = le_self_test(MEMORY, (int8_t *)le_link_body(&link));
    print(self_test == LE_SELF_TEST_PASSED ? "self-test passed\n" : "self-test FAILED\n");
    port_putc(0); /* ends the banner for a host that looks for frames */

    for (;;) {
        const int result = le_link_receive(&link, port_getc());
        if (result == LE_LINK_MESSAGE) {
            answer();
        } else if (result < 0) {
            le_link_error(&link, le_link_code(result), port_putc);
        }
    }
}
