/* Convolution 5 x 5 of one input channel; a row of tiles is in le_conv2d_one_dsp.S.
 *
 * A strip is [column][3] words, word i the pair (row 2i, row 2i + 1) of the six rows under a row of tiles; columns from
 * -pad_left on, as many as the tiles see. From one row of tiles to the next it moves up by two rows, one word. */
#include "le_dsp.h"

#define KERNEL 5
#define WORDS 3 /* of a column */

/* One row of tiles, all channels: x the strip, tiles of them; output the first plane, of which there is one with
 * pooling, else four (upper left, upper right, lower left, lower right), `plane` bytes apart. Each has [tile][channel]. */
typedef void le_one_row(const uint32_t *x, LE_TABLE uint32_t *table, int8_t *output, uint32_t plane, uint32_t tiles);
le_one_row le_one_row_dsp_s8, le_one_row_pooled_dsp_s8, le_one_row_double_dsp_s8, le_one_row_pooled_double_dsp_s8;

static void put_pair(uint32_t *x, uint32_t low, uint32_t high) { *x = le_pkhbt(low, high); }

/* Pairs of the rows `upper` and `lower`, NULL where outside, into every third word from x on. */
static void put_rows(LE_TABLE le_windows *windows, const int8_t *upper, const int8_t *lower, uint32_t *x, size_t columns)
{
    const uint32_t padding = (uint32_t)windows->padding_value;
    const size_t left = windows->pad_left, width = windows->input.width;
    const size_t inside = width < columns - left ? width : columns - left;
    uint32_t *const end = x + WORDS * columns;
    for (size_t i = 0; i < left; i++, x += WORDS) {
        put_pair(x, padding, padding);
    }
    size_t i = 0;
    if (upper != NULL && lower != NULL) {
        for (; i + 4 <= inside; i += 4, x += 4 * WORDS) {
            const uint32_t a = le_four_bytes(upper + i), b = le_four_bytes(lower + i);
            const uint32_t a02 = le_sxtb16(a), b02 = le_sxtb16(b), a13 = le_sxtb16_ror8(a), b13 = le_sxtb16_ror8(b);
            x[0 * WORDS] = le_pkhbt(a02, b02);
            x[1 * WORDS] = le_pkhbt(a13, b13);
            x[2 * WORDS] = le_pkhtb(a02, b02);
            x[3 * WORDS] = le_pkhtb(a13, b13);
        }
    }
    for (; i < inside; i++, x += WORDS) {
        put_pair(x, upper != NULL ? (uint32_t)upper[i] : padding, lower != NULL ? (uint32_t)lower[i] : padding);
    }
    for (; x != end; x += WORDS) {
        put_pair(x, padding, padding);
    }
}

/* The row of the input that is row `y`, counted from the padding's first; NULL outside. */
static const int8_t *row_at(LE_TABLE le_windows *windows, const int8_t *input, int y)
{
    y -= windows->pad_top;
    return y >= 0 && y < windows->input.height ? input + (size_t)y * windows->input.width : NULL;
}

/* Word `word` of all columns for the row of tiles `row`. */
static void put_word(LE_TABLE le_windows *windows, const int8_t *input, int row, int word, uint32_t *strip, size_t columns)
{
    const int y = 2 * (row + word);
    put_rows(windows, row_at(windows, input, y), row_at(windows, input, y + 1), strip + word, columns);
}

/* There are an even number of columns. */
static void move_up(uint32_t *x, size_t columns)
{
    for (const uint32_t *const end = x + WORDS * columns; x != end; x += 2 * WORDS) {
        x[0] = x[1];
        x[1] = x[2];
        x[WORDS] = x[WORDS + 1];
        x[WORDS + 1] = x[WORDS + 2];
    }
}

static inline void convolve(LE_TABLE le_dsp_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output,
                            le_one_row *plain, le_one_row *pooled)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const size_t channels = windows->output.channels, tiles = le_tiles_dsp(layer, windows->output.width);
    const size_t rows = le_tiles_dsp(layer, windows->output.height), plane = LE_DSP_PLANE(tiles, channels);
    const size_t columns = 2 * tiles + KERNEL - 1;
    uint32_t *const strip = (uint32_t *)(void *)scratch;
    int8_t *const planes = (int8_t *)(strip + WORDS * columns);
    for (size_t row = 0; row < rows; row++) {
        if (row == 0) {
            put_word(windows, input, 0, 0, strip, columns);
            put_word(windows, input, 0, 1, strip, columns);
        } else {
            move_up(strip, columns);
        }
        put_word(windows, input, (int)row, 2, strip, columns);
        if (layer->pooled) {
            pooled(strip, layer->table, output, (uint32_t)plane, (uint32_t)tiles);
            output += tiles * channels;
        } else {
            plain(strip, layer->table, planes, (uint32_t)plane, (uint32_t)tiles);
            le_interleave_dsp_s8(layer, planes, plane, row, output);
        }
    }
}

void le_conv2d_one_dsp_s8(LE_TABLE le_dsp_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    convolve(layer, input, scratch, output, le_one_row_dsp_s8, le_one_row_pooled_dsp_s8);
}

void le_conv2d_one_double_dsp_s8(LE_TABLE le_dsp_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    convolve(layer, input, scratch, output, le_one_row_double_dsp_s8, le_one_row_pooled_double_dsp_s8);
}
