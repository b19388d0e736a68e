/* Depthwise convolution: any window, stride and pooling, four channels at a time. The last four of a layer begin three
 * channels earlier if need be, so that every load of four bytes lies within a pixel; fewer than four are loaded singly.
 *
 * A strip is what one row of positions sees, [channel][column][pair of rows] words, columns from -pad_left on: a window
 * is in one piece there. Of an odd number of rows the last pair has one more: with stride 1 the window of the next row of
 * positions lies in the same pairs, one row lower, and gets its own taps, so that two rows of positions share a strip.
 *
 * A frame is a channel's bias and factors, then the taps as they meet the strip. */
#include "le_depthwise_dsp.h"

#include <string.h>

/* A row of positions, as le_depthwise_dsp.S reads it. */
typedef struct {
    const uint32_t *x, *frames;
    int8_t *output;
    uint32_t channel_bytes, frame_bytes; /* of the strip of one channel; of a frame */
    uint32_t channels, entry;            /* entry: bytes of code to leave out the first time */
    uint32_t positions, position_bytes, output_bytes;
} le_depthwise_row;

typedef void le_one_row(const le_depthwise_row *row);
le_one_row le_depthwise_row_dsp_s8, le_depthwise_row_double_dsp_s8;

/* How a layer is computed: sizes, and where in scratch what is. */
typedef struct {
    LE_TABLE le_dsp_depthwise *layer;
    le_one_row *one_row;
    size_t head, taps, words; /* words of a frame in front of the taps; of the taps; of a column */
    size_t columns, positions, channels;
    uint32_t *frames, *strip;
    int8_t *line; /* a row of positions, before pooling */
    int8_t padding[4];
} le_depthwise;

/* From the table to the frames of the first row of positions; returns what follows in the table. Two words of taps are
 * one in the table, as SXTB16 takes them; with TFLM's rounding they are doubled. */
static void put_frame(const le_depthwise *by, LE_TABLE uint32_t *table, uint32_t *to)
{
    const int doubled = by->head == LE_DSP_DOUBLE_HEAD;
    uint32_t *const taps = to + by->head, *const end = taps + by->taps;
    while (to != taps) {
        *to++ = *table++;
    }
    while (to != end) {
        const uint32_t bytes = *table++, first = le_sxtb16(bytes), second = le_sxtb16_ror8(bytes);
        *to++ = doubled ? le_sadd16(first, first) : first;
        *to++ = doubled ? le_sadd16(second, second) : second;
    }
}

/* The same one row lower: each column of taps moves by half a word. */
static void put_lower_frame(const le_depthwise *by, const uint32_t *from, uint32_t *to)
{
    const uint32_t *const taps = from + by->head, *const end = taps + by->taps / by->words * by->words;
    while (from != taps) {
        *to++ = *from++;
    }
    while (from != end) {
        uint32_t before = 0;
        for (const uint32_t *const column = from + by->words; from != column; before = *from++) {
            *to++ = before >> 16 | *from << 16;
        }
    }
    if (by->taps % by->words != 0) {
        *to = 0;
    }
}

static void put_frames(const le_depthwise *by, size_t first)
{
    const size_t words = by->head + by->taps;
    LE_TABLE uint32_t *table = by->layer->table + first * (by->head + by->taps / 2);
    uint32_t *frame = by->frames, *lower = frame + by->channels * words;
    for (size_t c = 0; c < by->channels; c++, table += by->head + by->taps / 2, frame += words) {
        put_frame(by, table, frame);
        if (by->layer->rows == 2) {
            put_lower_frame(by, frame, lower);
            lower += words;
        }
    }
}

/* Four bytes, of which the first `channels` count. */
static inline uint32_t load(const int8_t *from, size_t channels)
{
    if (channels == 4) {
        return le_four_bytes(from);
    }
    uint32_t bytes = (uint8_t)from[0];
    if (channels > 1) {
        bytes |= (uint32_t)(uint8_t)from[1] << 8;
    }
    return channels > 2 ? bytes | (uint32_t)(uint8_t)from[2] << 16 : bytes;
}

/* Pairs of pixels into every `words`th word of the four strips, `channel` words apart. */
static inline void put_pixels(uint32_t *to, size_t words, size_t channel, le_pixels upper, le_pixels lower,
                              size_t columns, size_t channels)
{
    const uint32_t *const end = to + columns * words;
    for (; to != end; to += words, upper.from += upper.step, lower.from += lower.step) {
        const uint32_t a = load(upper.from, channels), b = load(lower.from, channels);
        const uint32_t a02 = le_sxtb16(a), b02 = le_sxtb16(b), a13 = le_sxtb16_ror8(a), b13 = le_sxtb16_ror8(b);
        to[0] = le_pkhbt(a02, b02);
        to[channel] = le_pkhbt(a13, b13);
        to[2 * channel] = le_pkhtb(a02, b02);
        to[3 * channel] = le_pkhtb(a13, b13);
    }
}

/* The strip of the rows from `top` on, but for the columns of padding. input: from the first of the channels on. */
static void put_rows(const le_depthwise *by, const int8_t *input, int top)
{
    LE_TABLE le_windows *const windows = &by->layer->windows;
    const size_t channel = by->columns * by->words, columns = le_columns_inside(windows, by->columns);
    uint32_t *to = by->strip + windows->pad_left * by->words;
    for (const uint32_t *const end = to + by->words; to != end; to++, top += 2) {
        const le_pixels upper = le_pixels_at(windows, input, top, by->padding);
        const le_pixels lower = le_pixels_at(windows, input, top + 1, by->padding);
        if (by->channels == 4) {
            put_pixels(to, by->words, channel, upper, lower, columns, 4);
        } else {
            put_pixels(to, by->words, channel, upper, lower, columns, by->channels);
        }
    }
}

static void put_padding(const le_depthwise *by)
{
    const uint32_t value = (uint32_t)by->padding[0], pair = le_pkhbt(value, value);
    for (uint32_t *to = by->strip, *const end = to + 4 * by->columns * by->words + 1; to != end;) {
        *to++ = pair;
    }
}

/* `count` rows of positions, from row `y` of the convolution on; the first is `first`, the next `row_bytes` further. */
static void convolve(const le_depthwise *by, const int8_t *input, size_t y, size_t count, int8_t *output, size_t row_bytes,
                     size_t position_bytes)
{
    LE_TABLE le_windows *const windows = &by->layer->windows;
    const size_t frame = by->head + by->taps, odd = by->taps / 2 % LE_DSP_WINDOW_STEPS;
    le_depthwise_row row = {by->strip, by->frames, output,
                            (uint32_t)(4 * by->columns * by->words), (uint32_t)(4 * frame), (uint32_t)by->channels,
                            (uint32_t)(odd == 0 ? 0 : (LE_DSP_WINDOW_STEPS - odd) * LE_DSP_WINDOW_STEP_BYTES),
                            (uint32_t)by->positions, (uint32_t)(4 * windows->stride_w * by->words),
                            (uint32_t)position_bytes};
    put_rows(by, input, (int)(y * windows->stride_h) - windows->pad_top);
    for (; count != 0; count--, row.output += row_bytes, row.frames += by->channels * frame) {
        by->one_row(&row);
    }
}

/* The largest outputs of a pooling window's rows so far. */
static void pool(const le_depthwise *by, const int8_t *line, int is_first, int8_t *output)
{
    LE_TABLE le_windows *const windows = &by->layer->windows;
    const size_t step = windows->step_w / windows->stride_w * by->channels;
    for (size_t x = 0; x < windows->output.width; x++, line += step, output += windows->output.channels) {
        for (size_t c = 0; c < by->channels; c++) {
            int8_t largest = is_first ? INT8_MIN : output[c];
            for (size_t i = c; i < windows->pool_w * by->channels; i += by->channels) {
                largest = line[i] > largest ? line[i] : largest;
            }
            output[c] = largest;
        }
    }
}

static void pooled_rows(const le_depthwise *by, const int8_t *input, int8_t *output)
{
    LE_TABLE le_windows *const windows = &by->layer->windows;
    const size_t rows = by->layer->rows, row_bytes = by->positions * by->channels;
    for (size_t row = 0; row < windows->output.height; row++, output += windows->output.width * windows->output.channels) {
        const size_t y = row * windows->step_h / windows->stride_h;
        for (size_t done = 0; done < windows->pool_h; done += rows) {
            const size_t left = windows->pool_h - done, count = left < rows ? left : rows;
            convolve(by, input, y + done, count, by->line, row_bytes, by->channels);
            for (size_t i = 0; i < count; i++) {
                pool(by, by->line + i * row_bytes, done + i == 0, output);
            }
        }
    }
}

static void rows(const le_depthwise *by, const int8_t *input, int8_t *output)
{
    const le_shape to = by->layer->windows.output;
    const size_t rows = by->layer->rows, row_bytes = (size_t)to.width * to.channels;
    for (size_t y = 0; y < to.height; y += rows, output += rows * row_bytes) {
        const size_t left = to.height - y, count = left < rows ? left : rows;
        convolve(by, input, y, count, output, row_bytes, to.channels);
    }
}

static inline void depthwise(LE_TABLE le_dsp_depthwise *layer, const int8_t *input, int8_t *scratch, int8_t *output,
                             size_t head, le_one_row *one_row)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const size_t all = windows->output.channels;
    const int is_pooled = windows->step_h != windows->stride_h || windows->step_w != windows->stride_w
                          || windows->pool_h * windows->pool_w > 1; /* a pooling of 1 x 1 may have a stride */
    le_depthwise by = {.layer = layer, .one_row = one_row, .head = head};
    by.channels = all < 4 ? all : 4;
    by.words = (windows->window_h + 1u) / 2;
    by.taps = (windows->window_w * by.words + 1) / 2 * 2;
    by.positions = (windows->output.width - 1u) * (windows->step_w / windows->stride_w) + windows->pool_w;
    by.columns = (by.positions - 1) * windows->stride_w + windows->window_w;
    by.frames = (uint32_t *)(void *)scratch;
    by.strip = by.frames + layer->rows * by.channels * (head + by.taps);
    by.line = (int8_t *)(by.strip + 4 * by.columns * by.words + 1);
    memset(by.padding, windows->padding_value, sizeof by.padding);
    put_padding(&by);
    for (size_t done = 0; done < all; done += by.channels) {
        const size_t first = done + by.channels <= all ? done : all - by.channels;
        put_frames(&by, first);
        (is_pooled ? pooled_rows : rows)(&by, input + first, output + first);
    }
}

void le_depthwise_conv2d_dsp_s8(LE_TABLE le_dsp_depthwise *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    depthwise(layer, input, scratch, output, LE_DSP_HEAD, le_depthwise_row_dsp_s8);
}

void le_depthwise_conv2d_double_dsp_s8(LE_TABLE le_dsp_depthwise *layer, const int8_t *input, int8_t *scratch,
                                       int8_t *output)
{
    depthwise(layer, input, scratch, output, LE_DSP_DOUBLE_HEAD, le_depthwise_row_double_dsp_s8);
}
