#include "le_frames.h"

#include "le_board.h"

#ifdef LE_FRAME_ROW_BYTES
#include <string.h>

#include "le_port.h"
#include "le_prepare.h"
#include "le_self_test.h"

static le_prepare_state state;
static union {
    uint32_t alignment;
    int8_t bytes[LE_INPUT_BYTES];
} image;
static uint32_t counter; /* of the preparation */
static enum { NOTHING, ROWS, PREPARED } stage;

static uint16_t load16(const uint8_t *at)
{
    return (uint16_t)(at[0] | (uint16_t)((uint16_t)at[1] << 8));
}

/* Where the next row is expected. */
static uint8_t *store_position(uint8_t *at)
{
    *at++ = state.pass;
    *at++ = 0;
    return le_link_store16(at, state.y);
}

/* What is wrong with the frame, and the longest row. */
static void refuse(le_link *link, int problem)
{
    uint8_t *const body = le_link_body(link);
    body[0] = LE_LINK_FRAME;
    body[1] = (uint8_t)problem;
    (void)le_link_store16(body + 2, LE_FRAME_ROW_BYTES);
    le_link_reply(link, LE_LINK_ERROR_REPLY, 4, port_putc);
}

/* Not the request that is expected now: whether a frame has begun, and the row that it goes on with. */
static void refuse_order(le_link *link)
{
    uint8_t *const body = le_link_body(link);
    body[0] = LE_LINK_ORDER;
    body[1] = stage != NOTHING;
    (void)store_position(body + 2);
    le_link_reply(link, LE_LINK_ERROR_REPLY, 6, port_putc);
}

void le_frame_begin(le_link *link)
{
    uint8_t *const body = le_link_body(link);
    const uint16_t width = load16(body), height = load16(body + 2);
    const le_frame_format format = (le_frame_format)body[4];
    const int problem = le_prepare_begin(&state, width, height, format, image.bytes);
    stage = NOTHING;
    counter = 0;
    if (problem != LE_PREPARE_OK) {
        refuse(link, problem);
    } else if (le_prepare_row_bytes(width, format) > LE_FRAME_ROW_BYTES) {
        refuse(link, LE_FRAME_TOO_WIDE);
    } else {
        stage = ROWS;
        body[0] = le_prepare_passes();
        body[1] = 0;
        (void)le_link_store16(body + 2, LE_FRAME_ROW_BYTES);
        le_link_reply(link, LE_LINK_FRAME_BEGIN, 4, port_putc);
    }
}

/* How many whole rows a message has that begins with row `first`; 0 where it has none, a part of one, or too many. */
static uint16_t rows_of(uint16_t length, uint16_t first, uint16_t row_bytes)
{
    const uint16_t bytes = length < LE_FRAME_HEAD ? 0 : (uint16_t)(length - LE_FRAME_HEAD);
    const uint16_t count = bytes / row_bytes;
    return bytes % row_bytes == 0 && first < state.height && count <= state.height - first ? count : 0;
}

/* Takes those rows that did not come before. */
static void take(const uint8_t *rows, uint16_t count, uint16_t known, uint16_t row_bytes)
{
    const uint32_t before = port_counter();
    for (uint16_t row = known; row < count; row++) {
        (void)le_prepare_row(&state, rows + (size_t)row * row_bytes);
    }
    counter += (port_counter() - before) & port_counter_mask;
}

void le_frame_rows(le_link *link)
{
    uint8_t *const body = le_link_body(link);
    const uint16_t length = le_link_body_length(link), first = length < LE_FRAME_HEAD ? 0 : load16(body + 2);
    const uint16_t row_bytes = (uint16_t)le_prepare_row_bytes(state.width, (le_frame_format)state.format);
    const uint8_t pass = body[0];
    if (stage == NOTHING) {
        refuse_order(link);
        return;
    }
    const uint16_t count = rows_of(length, first, row_bytes);
    if (count == 0) {
        le_link_error(link, LE_LINK_BAD_LENGTH, port_putc);
        return;
    }
    const uint16_t expected = (uint16_t)(state.pass * state.height + state.y);
    if (pass >= le_prepare_passes() || pass * state.height + first > expected) {
        refuse_order(link);
        return;
    }
    take(body + LE_FRAME_HEAD, count, (uint16_t)(expected - pass * state.height - first), row_bytes);
    if (state.status != LE_PREPARE_OK) {
        refuse(link, state.status);
        return;
    }
    (void)store_position(body);
    le_link_reply(link, LE_LINK_FRAME_ROWS, 4, port_putc);
}

static int prepare(void)
{
    const uint32_t before = port_counter();
    const int problem = le_prepare_end(&state);
    counter += (port_counter() - before) & port_counter_mask;
    return problem;
}

static __attribute__((noinline)) uint32_t infer_frame(le_workspace *workspace, int8_t *logits)
{
    const uint32_t before = port_counter();
    (void)le_infer_with(workspace, image.bytes, logits);
    return (port_counter() - before) & port_counter_mask;
}

void le_frame_end(le_link *link, le_workspace *workspace)
{
    int8_t logits[LE_OUTPUTS];
    uint8_t *at = le_link_body(link);
    const uint8_t flags = at[0];
    if (stage == NOTHING || (state.status == LE_PREPARE_OK && state.pass < le_prepare_passes())) {
        refuse_order(link);
        return;
    }
    if (stage == ROWS) {
        const int problem = prepare();
        if (problem != LE_PREPARE_OK) {
            refuse(link, problem);
            return;
        }
        stage = PREPARED;
    }
    const uint32_t inference = infer_frame(workspace, logits);
    at = le_link_store32(at, counter);
    at = le_link_store32(at, inference);
    memcpy(at, logits, LE_OUTPUTS);
    at += LE_OUTPUTS;
    if (flags & LE_FRAME_IMAGE) {
        memcpy(at, image.bytes, LE_INPUT_BYTES);
        at += LE_INPUT_BYTES;
    }
    le_link_reply(link, LE_LINK_FRAME_END, (uint16_t)(at - le_link_body(link)), port_putc);
}
#else
typedef int le_no_frames; /* C has no empty source */
#endif
