/* Any convolution, two positions and four outputs at a time (le_pairs_mve.h).
 *
 * The inputs of a strip of positions are put into a band, int8 [column][window_h][channels], so that those of a position
 * are contiguous, and positions share what they have in common; outside there is padding. Where the tensor is that
 * already, with one input row, nothing is copied but the last positions, whose vectors would go beyond its end. The
 * pairs of an even width are neighbours; those of an odd one are of two rows, so that none is computed twice but for the
 * last position of all.
 *
 * What is pooled has a pass over its strip for each position in a window; the maximum is taken of the outputs:
 * requantisation is monotone.
 *
 * Where an input has few channels and a band holds whole rows, it slides: one row of the output further it begins
 * stride_h * channels bytes further, and the rows of the input that are new take the place of those that are not needed
 * any more, beside the next column. */
#include "le_bytes_mve.h"
#include "le_mve.h"

#define LANES 16

/* A strip: `rows` (1 or 2) of so many positions; rows of the output are so far apart. */
typedef struct {
    int row, column, rows, positions;
} strip;

/* Where the bytes of pixels beside each other belong in the same row of columns of a band. */
static inline uint8x16_t offsets_of(LE_TABLE le_mve_pairs *layer)
{
    const uint8x16_t channel = viwdupq_n_u8(0, layer->windows.input.channels, 1);
    const uint8x16_t pixels = vsubq_u8(vidupq_n_u8(0, 1), channel);
    return vaddq_u8(channel, vmulq_n_u8(pixels, layer->windows.window_h));
}

/* Puts them there, as many bytes at a time as whole pixels of a vector have. What a full vector has beyond them is put
 * where it belongs as well. */
static inline void spread(LE_TABLE le_mve_pairs *layer, uint8x16_t offsets, const int8_t *from, size_t count,
                          int8_t *to)
{
    const size_t at_once = layer->spread, step = at_once * layer->windows.window_h;
    for (; count >= LANES; count -= at_once, from += at_once, to += step) {
        vstrbq_scatter_offset_s8(to, offsets, vldrbq_s8(from));
    }
    if (count != 0) {
        const mve_pred16_t inside = vctp8q((uint32_t)count);
        vstrbq_scatter_offset_p_s8(to, offsets, vldrbq_z_s8(from, inside), inside);
    }
}

/* The columns of the input from (top, left) on, some of which may lie outside. */
static LE_NOINLINE void put_band(LE_TABLE le_mve_pairs *layer, const int8_t *input, int top, int left, int columns,
                                 int8_t *band)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const int height = windows->input.height, width = windows->input.width, tall = windows->window_h;
    const int begin = left < 0 ? 0 : left, end = left + columns > width ? width : left + columns;
    const size_t channels = windows->input.channels, column = (size_t)tall * channels;
    if (begin >= end || top < 0 || top + tall > height) {
        le_fill_mve_s8(windows->padding_value, (size_t)columns * column, band);
    }
    if (begin >= end) {
        return;
    }
    int8_t *to = band + (size_t)(begin - left) * column, *const behind = band + (size_t)(end - left) * column;
    if (end - begin < columns) {
        le_fill_mve_s8(windows->padding_value, (size_t)(to - band), band);
        le_fill_mve_s8(windows->padding_value, (size_t)(left + columns - end) * column, behind);
    }
    for (int y = top; y < top + tall; y++, to += channels) {
        if (y < 0 || y >= height) {
            continue;
        }
        const int8_t *from = input + ((size_t)y * windows->input.width + (size_t)begin) * channels;
        const size_t bytes = (size_t)(end - begin) * channels;
        if (layer->spread != 0) {
            spread(layer, offsets_of(layer), from, bytes, to);
            continue;
        }
        int8_t *pixel = to;
        for (const int8_t *const stop = from + bytes; from != stop; from += channels, pixel += column) {
            le_copy_mve_s8(from, channels, pixel);
        }
    }
}

/* The outputs of a strip, whose rows are so far apart in memory. */
static void multiply(LE_TABLE le_mve_pairs *layer, const int8_t *input, size_t step, const strip *of, size_t row_bytes,
                     int8_t *output)
{
    const int32_t channels = layer->windows.output.channels, inputs = (int32_t)step;
    const uint32_t count = (uint32_t)of->positions;
    if (of->rows == 2) {
        const le_mve_pair_block both = {layer->band_bytes, inputs, (int32_t)row_bytes, channels, count};
        layer->multiply(&layer->matrix, &both, input, output);
        return;
    }
    if (count > 1) {
        const le_mve_pair_block neighbours = {inputs, 2 * inputs, channels, 2 * channels, count / 2};
        layer->multiply(&layer->matrix, &neighbours, input, output);
    }
    if (count % 2 != 0) {
        const le_mve_pair_block last = {0, 0, 0, 0, 1};
        layer->multiply(&layer->matrix, &last, input + (count - 1) * step, output + (count - 1) * (size_t)channels);
    }
}

/* From the bands of a strip, of row y of its pooling windows, to its outputs, or the largest so far. */
static void pool_row(LE_TABLE le_mve_pairs *layer, int8_t *scratch, const strip *of, int y, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const size_t column = (size_t)windows->window_h * windows->input.channels, channels = windows->output.channels;
    const size_t strip_bytes = (size_t)of->positions * channels, row_bytes = windows->output.width * channels;
    int8_t *const found = scratch + (size_t)of->rows * layer->band_bytes;
    for (int x = 0; x < windows->pool_w; x++) {
        const int8_t *const input = scratch + (size_t)(x * windows->stride_w) * column;
        if (x == 0 && y == 0) {
            multiply(layer, input, windows->step_w * column, of, row_bytes, output);
            continue;
        }
        multiply(layer, input, windows->step_w * column, of, strip_bytes, found);
        for (int row = 0; row < of->rows; row++) {
            le_maximum_mve_s8(output + (size_t)row * row_bytes, found + (size_t)row * strip_bytes, strip_bytes);
        }
    }
}

static void put_strip(LE_TABLE le_mve_pairs *layer, const int8_t *input, int8_t *scratch, const strip *of, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const int left = of->column * windows->step_w - windows->pad_left;
    const int columns =
        (of->positions - 1) * windows->step_w + (windows->pool_w - 1) * windows->stride_w + windows->window_w;
    for (int y = 0; y < windows->pool_h; y++) {
        for (int row = 0; row < of->rows; row++) {
            const int top = (of->row + row) * windows->step_h - windows->pad_top + y * windows->stride_h;
            put_band(layer, input, top, left, columns, scratch + (size_t)row * layer->band_bytes);
        }
        pool_row(layer, scratch, of, y, output);
    }
}

/* The same for padding. */
static LE_NOINLINE void pad_row(LE_TABLE le_mve_pairs *layer, size_t count, int8_t *to)
{
    const uint8x16_t offsets = offsets_of(layer);
    const size_t at_once = layer->spread, step = at_once * layer->windows.window_h;
    const int8x16_t value = vdupq_n_s8(layer->windows.padding_value);
    for (size_t i = 0; i < count; i += at_once, to += step) {
        const size_t left = count - i;
        vstrbq_scatter_offset_p_s8(to, offsets, value, vctp8q((uint32_t)(left < at_once ? left : at_once)));
    }
}

/* Row by row of the output, from one band that slides. Above the input there is the padding of the beginning. */
static void slide(LE_TABLE le_mve_pairs *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const uint8x16_t offsets = offsets_of(layer);
    const size_t channels = windows->input.channels, column = windows->window_h * channels;
    const size_t line = windows->input.width * channels, outputs = windows->output.channels;
    const size_t row_bytes = windows->output.width * outputs;
    const int32_t step = (int32_t)(windows->step_w * column);
    const le_mve_pair_block pairs = {step, 2 * step, (int32_t)outputs, 2 * (int32_t)outputs,
                                     windows->output.width / 2U};
    const le_mve_pair_block one = {0, 0, 0, 0, 1};
    const size_t last = windows->output.width - 1U;
    le_fill_mve_s8(windows->padding_value, layer->band_bytes, scratch);
    int8_t *band = scratch + column; /* a column is in front of it, for the padding left of `to` */
    int8_t *to = band + windows->pad_left * column;
    int y = -windows->pad_top, end = y + windows->window_h;
    for (int8_t *const stop = output + windows->output.height * row_bytes; output != stop; output += row_bytes) {
        for (; y < end; y++, to += channels) {
            if (y < 0) {
                continue;
            }
            vstrbq_p_s8(to - column, vdupq_n_s8(windows->padding_value), vctp8q((uint32_t)channels));
            if (y < windows->input.height) {
                spread(layer, offsets, input + (size_t)y * line, line, to);
            } else {
                pad_row(layer, line, to);
            }
        }
        if (pairs.pairs != 0) {
            layer->multiply(&layer->matrix, &pairs, band, output);
        }
        if (last % 2 == 0) {
            layer->multiply(&layer->matrix, &one, band + last * (size_t)step, output + last * outputs);
        }
        end += windows->step_h;
        band += windows->step_h * channels;
    }
}

void le_conv2d_pairs_mve_s8(LE_TABLE le_mve_pairs *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const int height = windows->output.height, width = windows->output.width;
    const size_t channels = windows->output.channels;
    strip of = {0, 0, 1, width};
    if (layer->slides) {
        slide(layer, input, scratch, output);
        return;
    }
    if (layer->strip == 0) {
        const size_t inputs = windows->input.channels, before = windows->output.width - (size_t)layer->tail;
        of.positions = (int)before;
        multiply(layer, input, inputs, &of, 0, output);
        of.positions = layer->tail;
        le_copy_mve_s8(input + before * inputs, layer->tail * inputs, scratch);
        multiply(layer, scratch, inputs, &of, 0, output + before * channels);
        return;
    }
    for (of.row = 0; of.row < height; of.row += of.rows) {
        of.rows = of.row + layer->rows <= height ? layer->rows : 1;
        for (of.column = 0; of.column < width; of.column += of.positions) {
            of.positions = width - of.column < layer->strip ? width - of.column : layer->strip;
            int8_t *const to = output + ((size_t)of.row * windows->output.width + (size_t)of.column) * channels;
            put_strip(layer, input, scratch, &of, to);
        }
    }
}
