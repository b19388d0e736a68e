/* A convolution as a matrix, for several positions at a time; what multiplies is in le_positions_dsp.h.
 *
 * scratch: the strip, LE_DSP_WORDS(inputs) words for each position; patches; the outputs of one block, for channels that
 * are not pairs and for the last block. Rows of a window that lie inside the input are widened from there, where they are
 * whole words and long enough for a call; so are all rows of windows of a few words, with up to three bytes behind each,
 * where those are inside the input as well. Others are put together in patches. */
#include "le_dsp.h"

#define MOST 4 /* positions */

/* The first input of a window; it may lie outside. */
typedef struct {
    int top, left;
} le_place;

/* What does not change from block to block. */
typedef struct {
    LE_TABLE le_dsp_positions *layer;
    const int8_t *input;
    uint32_t *strip;
    int8_t *patches;
    size_t positions, row_bytes, patch_bytes, pitch; /* bytes of a row of the input */
    size_t patch_row;                                /* of a row in a patch: row_bytes, or more where rows are filled up */
    const int8_t *last; /* where the last window begins whose rows can be widened there; NULL: there is none */
    unsigned inside_h, inside_w;                     /* where windows begin that lie inside */
    int by_pixels;                                   /* 1 x 1, of whole words, stride 1 */
} le_job;

static inline int8_t *put_bytes(int8_t *to, const int8_t *from, size_t count)
{
    for (; count >= 4; count -= 4, from += 4, to += 4) {
        __builtin_memcpy(to, from, 4);
    }
    if ((count & 2) != 0) {
        __builtin_memcpy(to, from, 2);
        from += 2;
        to += 2;
    }
    if ((count & 1) != 0) {
        *to++ = *from;
    }
    return to;
}

/* Rows of a window of which a part may lie outside. Patches are whole words. */
static void put_clipped(const le_job *job, le_place at, int rows, int8_t *to)
{
    LE_TABLE le_windows *const windows = &job->layer->windows;
    const int width = windows->input.width, channels = windows->input.channels;
    const int before = at.left < 0 ? -at.left : 0, above = at.top < 0 ? -at.top : 0;
    const int behind = width - at.left < windows->window_w ? width - at.left : windows->window_w;
    const int below = windows->input.height - at.top < rows ? windows->input.height - at.top : rows;
    const uint32_t padding = 0x01010101u * (uint8_t)windows->padding_value;
    for (size_t at_byte = 0; at_byte < (size_t)rows * job->patch_row; at_byte += 4) {
        __builtin_memcpy(to + at_byte, &padding, 4);
    }
    if (before >= behind) {
        return;
    }
    const size_t bytes = (size_t)((behind - before) * channels);
    to += before * channels;
    for (int row = above; row < below; row++) {
        const int8_t *const from = job->input + ((at.top + row) * width + at.left + before) * channels;
        (void)put_bytes(to + (size_t)row * job->patch_row, from, bytes);
    }
}

/* Where a window begins that lies inside the input; NULL for others. */
static inline const int8_t *window_at(const le_job *job, le_place at)
{
    if ((unsigned)at.top >= job->inside_h || (unsigned)at.left >= job->inside_w) {
        return NULL;
    }
    return job->input + (size_t)at.top * job->pitch + (size_t)at.left * job->layer->windows.input.channels;
}

/* The strip, row by row of the windows. */
static void put_rows(const le_job *job, const le_place *at)
{
    const int8_t *window[MOST], *from[MOST];
    uint32_t *to = job->strip;
    for (size_t i = 0; i < job->positions; i++) {
        window[i] = window_at(job, at[i]);
    }
    for (int row = 0; row < job->layer->windows.window_h; row++) {
        for (size_t i = 0; i < job->positions; i++) {
            from[i] = window[i];
            if (from[i] != NULL) {
                window[i] += job->pitch;
            } else {
                const le_place here = {at[i].top + row, at[i].left};
                from[i] = job->patches + i * job->patch_bytes;
                put_clipped(job, here, 1, job->patches + i * job->patch_bytes);
            }
        }
        to = job->layer->widen(from, (uint32_t)job->row_bytes / 4, to);
    }
}

/* Rows of so many bytes; where that is a constant, no loop is left of the copy. */
static inline void put_inside(const le_job *job, int8_t *to, const int8_t *from, size_t bytes)
{
    for (uint8_t rows = job->layer->windows.window_h; rows != 0; rows--, from += job->pitch, to += job->patch_row) {
        (void)put_bytes(to, from, bytes);
    }
}

/* A window that lies inside, to a patch. */
static inline void put_whole(const le_job *job, const int8_t *from, int8_t *to)
{
    if (job->row_bytes == 9 && job->layer->windows.window_h == 3) { /* 3 x 3 of three channels */
        to = put_bytes(to, from, 9);
        to = put_bytes(to, from + job->pitch, 9);
        (void)put_bytes(to, from + 2 * job->pitch, 9);
    } else {
        put_inside(job, to, from, job->row_bytes);
    }
}

static void put_window(const le_job *job, le_place at, int8_t *to)
{
    const int8_t *const from = window_at(job, at);
    if (from == NULL) {
        put_clipped(job, at, job->layer->windows.window_h, to);
    } else {
        put_whole(job, from, to);
    }
}

/* The strip, from patches of whole windows: what lies behind one has weights that are zero. */
static void put_patches(const le_job *job, const le_place *at)
{
    const int8_t *from[MOST];
    int8_t *to = job->patches;
    for (size_t i = 0; i < job->positions; i++, to += job->patch_bytes) {
        from[i] = to;
        put_window(job, at[i], to);
    }
    (void)job->layer->widen(from, job->layer->steps, job->strip);
}

static void put_strip(const le_job *job, const le_place *at)
{
    if (job->patch_bytes == job->row_bytes) {
        put_rows(job, at);
    } else {
        put_patches(job, at);
    }
}

/* `count` positions, next to each other, of a block that has `stride` bytes for each. */
static void put_outputs(int8_t *to, const int8_t *outputs, size_t count, size_t channels, size_t stride)
{
    for (; count != 0; count--, outputs += stride) {
        to = put_bytes(to, outputs, channels);
    }
}

/* The strip of the next three pixels, where each is a window: they follow each other. Of fewer the first serves for all. */
static void put_pixels(const le_job *job, const int8_t *pixel, size_t count)
{
    const size_t bytes = count == 3 ? job->row_bytes : 0;
    const int8_t *const from[3] = {pixel, pixel + (count > 1 ? job->row_bytes : 0), pixel + 2 * bytes};
    (void)job->layer->widen(from, job->layer->steps, job->strip);
}

/* The strip of three positions next to each other whose windows lie inside, with what is widened behind them; else 0. */
static inline int put_run(const le_job *job, le_place at)
{
    LE_TABLE le_windows *const windows = &job->layer->windows;
    if ((unsigned)at.top >= job->inside_h || at.left < 0 || (unsigned)(at.left + 2 * windows->step_w) >= job->inside_w) {
        return 0;
    }
    const size_t step = (size_t)windows->step_w * windows->input.channels;
    const int8_t *const first = job->input + (size_t)at.top * job->pitch + (size_t)at.left * windows->input.channels;
    const int8_t *from[3] = {first, first + step, first + 2 * step};
    if (job->last == NULL) {
        int8_t *to = job->patches;
        for (size_t i = 0; i < 3; i++, to += job->patch_bytes) {
            put_whole(job, from[i], to);
            from[i] = to;
        }
        (void)job->layer->widen(from, job->layer->steps, job->strip);
        return 1;
    }
    if (from[2] > job->last) {
        return 0;
    }
    const ptrdiff_t apart = (ptrdiff_t)job->pitch - (ptrdiff_t)job->patch_row;
    (void)job->layer->widen_rows(from, (uint32_t)job->patch_row / 4, job->strip, windows->window_h, apart);
    return 1;
}

/* The strip of the next three positions; behind the last one windows are outside, and their outputs are lost. */
static void put_next(const le_job *job, le_place *next)
{
    LE_TABLE le_windows *const windows = &job->layer->windows;
    const int first = -(int)windows->pad_left, end = first + (int)windows->output.width * windows->step_w;
    if (put_run(job, *next)) {
        next->left += 3 * windows->step_w;
        if (next->left == end) {
            next->left = first;
            next->top += windows->step_h;
        }
        return;
    }
    le_place at[3];
    for (size_t i = 0; i < 3; i++) {
        at[i] = *next;
        next->left += windows->step_w;
        if (next->left == end) {
            next->left = first;
            next->top += windows->step_h;
        }
    }
    put_strip(job, at);
}

/* Three positions at a time, in the order of the output. */
static void run_three(const le_job *job, le_dsp_block *block, int8_t *outputs, int8_t *output)
{
    LE_TABLE le_windows *const windows = &job->layer->windows;
    const size_t channels = windows->output.channels, even = (channels + 1) / 2 * 2;
    const int8_t *pixel = job->input;
    le_place next = {-(int)windows->pad_top, -(int)windows->pad_left};
    for (size_t left = (size_t)windows->output.height * windows->output.width, count; left != 0; left -= count) {
        count = left < 3 ? left : 3;
        if (job->by_pixels) {
            put_pixels(job, pixel, count);
            pixel += 3 * job->row_bytes;
        } else {
            put_next(job, &next);
        }
        const int direct = count == 3 && even == channels;
        block->stride = (uint32_t)even;
        block->output = direct ? output : outputs;
        block->output_end = block->output + even;
        job->layer->block(block);
        if (!direct) {
            put_outputs(output, outputs, count, channels, even);
        }
        output += count * channels;
    }
}

/* The four positions of a pooling window at a time. */
static void run_four(const le_job *job, le_dsp_block *block, int8_t *outputs, int8_t *output)
{
    LE_TABLE le_windows *const windows = &job->layer->windows;
    const size_t channels = windows->output.channels, even = (channels + 1) / 2 * 2;
    for (int row = 0, top = -(int)windows->pad_top; row < windows->output.height; row++, top += windows->step_h) {
        int left = -(int)windows->pad_left;
        for (int column = 0; column < windows->output.width; column++, left += windows->step_w, output += channels) {
            const int below = top + windows->stride_h, right = left + windows->stride_w;
            const le_place at[4] = {{top, left}, {top, right}, {below, left}, {below, right}};
            put_strip(job, at);
            block->output = even == channels ? output : outputs;
            block->output_end = block->output + even;
            job->layer->block(block);
            if (even != channels) {
                (void)put_bytes(output, outputs, channels);
            }
        }
    }
}

static unsigned windows_inside(uint16_t size, uint8_t window) { return size < window ? 0 : size - window + 1u; }

static int job_is_by_pixels(LE_TABLE le_windows *windows)
{
    return windows->window_h == 1 && windows->window_w == 1 && windows->stride_h == 1 && windows->stride_w == 1 &&
           windows->input.channels % 4 == 0;
}

void le_conv2d_positions_dsp_s8(LE_TABLE le_dsp_positions *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const size_t steps = layer->steps, more = (LE_DSP_BLOCK_STEPS - (steps - 1) % LE_DSP_BLOCK_STEPS) % LE_DSP_BLOCK_STEPS;
    const size_t step_bytes = layer->positions == 3 ? LE_DSP_STEP_3_BYTES : LE_DSP_STEP_4_BYTES;
    le_job job = {layer, input, (uint32_t *)(void *)scratch, scratch + 8 * steps * layer->positions, layer->positions,
                  (size_t)windows->window_w * windows->input.channels, 4 * steps,
                  (size_t)windows->input.width * windows->input.channels,
                  (size_t)windows->window_w * windows->input.channels, NULL,
                  windows_inside(windows->input.height, windows->window_h),
                  windows_inside(windows->input.width, windows->window_w),
                  job_is_by_pixels(windows)};
    if (LE_DSP_BY_ROWS(job.row_bytes, windows->window_h)) {
        job.patch_bytes = job.row_bytes;
        job.last = input + windows->input.height * job.pitch;
    } else if (LE_DSP_FILLED_ROWS(job.row_bytes, windows->window_h)) {
        job.patch_row = (job.row_bytes + 3) / 4 * 4;
        job.last = input + (windows->input.height - windows->window_h + 1u) * job.pitch - job.patch_row;
    }
    int8_t *const outputs = job.patches + layer->positions * job.patch_bytes;
    le_dsp_block block = {outputs, 0, outputs, job.strip, 0, job.strip + 2 * steps * layer->positions, layer->table};
    block.skipped_bytes = (uint32_t)((steps == 1 ? LE_DSP_BLOCK_STEPS : more) * step_bytes);
    if (layer->positions == 3) {
        run_three(&job, &block, outputs, output);
    } else {
        run_four(&job, &block, outputs, output);
    }
}
