/* Depthwise convolution 3 x 3 with stride 1, also pooled by 2 x 2, or stride 2: four channels at a time, the last four of a
 * layer may begin in the midst of those before.
 *
 * A strip is what a row of tiles sees, [column][channel of four][2] words, columns from -pad_left on; a word is a pair of
 * rows. Each row of tiles begins two rows below the one before: its first pair is the second one of that, and stays where
 * it is. So a pair is widened once, and lies in turns in front of the other and behind it. */
#include "le_depthwise_dsp.h"

#include <string.h>

#define COLUMN 8 /* words */
#define TAPS 3   /* words of a channel's taps in the table */
#define HEAD 8   /* words of a frame in front of the factors */

/* A row of tiles, as le_depthwise_3x3_dsp.S reads it. Where there is no lower row, `lower` is `output`. */
typedef struct {
    const uint32_t *x, *frames;
    int8_t *output, *lower;
    uint32_t tiles, is_odd; /* is_odd: half a tile follows */
    uint32_t output_bytes;  /* from one position to the next */
} le_depthwise_tiles;

typedef void le_row_of_tiles(const le_depthwise_tiles *row);
le_row_of_tiles le_depthwise_1_dsp_s8, le_depthwise_1_turned_dsp_s8;
le_row_of_tiles le_depthwise_2_dsp_s8, le_depthwise_2_turned_dsp_s8;
le_row_of_tiles le_depthwise_pooled_dsp_s8, le_depthwise_pooled_turned_dsp_s8;
le_row_of_tiles le_depthwise_1_double_dsp_s8, le_depthwise_1_turned_double_dsp_s8;
le_row_of_tiles le_depthwise_2_double_dsp_s8, le_depthwise_2_turned_double_dsp_s8;
le_row_of_tiles le_depthwise_pooled_double_dsp_s8, le_depthwise_pooled_turned_double_dsp_s8;

/* How a layer is computed. */
typedef struct {
    LE_TABLE le_dsp_depthwise *layer;
    le_row_of_tiles *row_of_tiles[2]; /* the first pair in front, and behind */
    size_t factors, columns;
    int is_pooled;
    uint32_t *frames, *strip;
    int8_t padding[4];
} le_depthwise_3x3;

/* The frames of four channels from the table; with TFLM's rounding the taps are doubled. */
static void put_frames(const le_depthwise_3x3 *by, size_t first)
{
    const int doubled = by->factors == LE_DSP_DOUBLE_HEAD - 1;
    LE_TABLE uint32_t *table = by->layer->table + first * (1 + by->factors + TAPS);
    uint32_t *to = by->frames;
    for (const uint32_t *const end = to + 4 * (HEAD + by->factors); to != end;) {
        const uint32_t bias = *table++;
        LE_TABLE uint32_t *const factors = table;
        table += by->factors;
        *to++ = bias;
        *to++ = bias;
        for (size_t i = 0; i < TAPS; i++) {
            uint32_t upper = le_sxtb16(*table), last = le_sxtb16_ror8(*table++);
            if (doubled) {
                upper = le_sadd16(upper, upper);
                last = le_sadd16(last, last);
            }
            *to++ = upper;
            *to++ = le_pkhbt(upper >> 16, last);
        }
        for (size_t i = 0; i < by->factors; i++) {
            *to++ = factors[i];
        }
    }
}

static void put_padding(const le_depthwise_3x3 *by)
{
    const uint32_t value = (uint32_t)by->padding[0], pair = le_pkhbt(value, value);
    for (uint32_t *to = by->strip, *const end = to + by->columns * COLUMN; to != end;) {
        *to++ = pair;
    }
}

/* Rows y and y + 1 of the input, as the first or second pairs of the strip. */
static void put_pairs(const le_depthwise_3x3 *by, const int8_t *input, int y, size_t pair)
{
    LE_TABLE le_windows *const windows = &by->layer->windows;
    le_pixels upper = le_pixels_at(windows, input, y, by->padding), lower = le_pixels_at(windows, input, y + 1, by->padding);
    uint32_t *to = by->strip + windows->pad_left * COLUMN + pair;
    const uint32_t *const end = to + le_columns_inside(windows, by->columns) * COLUMN;
    for (; to != end; to += COLUMN, upper.from += upper.step, lower.from += lower.step) {
        const uint32_t a = le_four_bytes(upper.from), b = le_four_bytes(lower.from);
        const uint32_t a02 = le_sxtb16(a), b02 = le_sxtb16(b), a13 = le_sxtb16_ror8(a), b13 = le_sxtb16_ror8(b);
        to[0] = le_pkhbt(a02, b02);
        to[2] = le_pkhbt(a13, b13);
        to[4] = le_pkhtb(a02, b02);
        to[6] = le_pkhtb(a13, b13);
    }
}

/* Four channels of all rows. */
static void convolve(const le_depthwise_3x3 *by, const int8_t *input, int8_t *output)
{
    LE_TABLE le_windows *const windows = &by->layer->windows;
    const size_t channels = windows->output.channels, width = windows->output.width, row_bytes = width * channels;
    const size_t rows = by->is_pooled ? 1 : by->layer->rows;
    le_depthwise_tiles row = {by->strip, by->frames, output, output, (uint32_t)(by->is_pooled ? width : width / 2),
                              (uint32_t)(width % 2), (uint32_t)channels};
    int y = -(int)windows->pad_top;
    put_pairs(by, input, y, 0);
    size_t turned = 0;
    for (size_t left = windows->output.height; left != 0; turned ^= 1) {
        y += 2;
        put_pairs(by, input, y, turned ^ 1);
        row.lower = row.output + (rows == 2 && left > 1 ? row_bytes : 0);
        by->row_of_tiles[turned](&row);
        row.output += rows * row_bytes;
        left -= left < rows ? left : rows;
    }
}

static void depthwise(LE_TABLE le_dsp_depthwise *layer, size_t factors, le_row_of_tiles *in_order, le_row_of_tiles *turned,
                      const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const size_t all = windows->output.channels;
    le_depthwise_3x3 by = {.layer = layer, .row_of_tiles = {in_order, turned}, .factors = factors};
    by.is_pooled = windows->pool_w == 2;
    by.columns = (windows->output.width * (size_t)windows->pool_w - 1) * windows->stride_w + 3;
    by.frames = (uint32_t *)(void *)scratch;
    by.strip = by.frames + 4 * (HEAD + factors);
    memset(by.padding, windows->padding_value, sizeof by.padding);
    put_padding(&by);
    for (size_t done = 0; done < all; done += 4) {
        const size_t first = done + 4 <= all ? done : all - 4;
        put_frames(&by, first);
        convolve(&by, input + first, output + first);
    }
}

void le_depthwise_3x3_dsp_s8(LE_TABLE le_dsp_depthwise *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    depthwise(layer, LE_DSP_HEAD - 1, le_depthwise_1_dsp_s8, le_depthwise_1_turned_dsp_s8, input,
              scratch, output);
}

void le_depthwise_3x3_double_dsp_s8(LE_TABLE le_dsp_depthwise *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    depthwise(layer, LE_DSP_DOUBLE_HEAD - 1, le_depthwise_1_double_dsp_s8, le_depthwise_1_turned_double_dsp_s8, input,
              scratch, output);
}

void le_depthwise_3x3_stride_2_dsp_s8(LE_TABLE le_dsp_depthwise *layer, const int8_t *input, int8_t *scratch,
                                      int8_t *output)
{
    depthwise(layer, LE_DSP_HEAD - 1, le_depthwise_2_dsp_s8, le_depthwise_2_turned_dsp_s8, input,
              scratch, output);
}

void le_depthwise_3x3_stride_2_double_dsp_s8(LE_TABLE le_dsp_depthwise *layer, const int8_t *input, int8_t *scratch,
                                             int8_t *output)
{
    depthwise(layer, LE_DSP_DOUBLE_HEAD - 1, le_depthwise_2_double_dsp_s8, le_depthwise_2_turned_double_dsp_s8, input,
              scratch, output);
}

void le_depthwise_3x3_pooled_dsp_s8(LE_TABLE le_dsp_depthwise *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    depthwise(layer, LE_DSP_HEAD - 1, le_depthwise_pooled_dsp_s8, le_depthwise_pooled_turned_dsp_s8, input,
              scratch, output);
}

void le_depthwise_3x3_pooled_double_dsp_s8(LE_TABLE le_dsp_depthwise *layer, const int8_t *input, int8_t *scratch,
                                           int8_t *output)
{
    depthwise(layer, LE_DSP_DOUBLE_HEAD - 1, le_depthwise_pooled_double_dsp_s8, le_depthwise_pooled_turned_double_dsp_s8, input,
              scratch, output);
}
