/* Convolution of several input channels; a tile is in le_conv2d_pairs_dsp.S, which also says why there are differences.
 *
 * A strip is three arrays [j][pair of channels][row], words, of the kernel + 1 rows under a row of tiles; of the columns
 * 2j, 2j + 1 and 2j + 2, counted from -pad_left on: `odd` x(2j + 1), `even` x(2j) - x(2j + 1), `next` x(2j + 2) -
 * x(2j + 1). From one row of tiles to the next all of it moves up by two rows. */
#include "le_dsp.h"

#include <string.h>

/* The cells of a sum, as le_conv2d_pairs_dsp.S reads them. */
typedef struct {
    const uint32_t *x;
    uint32_t entry; /* bytes of code to leave out the first time, + 1 for Thumb */
    const uint32_t *end;
} le_cells;

/* One tile, all groups of four channels; the sums over odd, even and next; outputs as in le_conv2d_one_dsp.c. */
typedef void le_tile(const le_cells cells[3], LE_TABLE uint32_t *table, int8_t *output, uint32_t plane,
                     uint32_t groups);
le_tile le_pairs_1_dsp_s8, le_pairs_3_dsp_s8, le_pairs_5_dsp_s8;
le_tile le_pairs_1_pooled_dsp_s8, le_pairs_3_pooled_dsp_s8, le_pairs_5_pooled_dsp_s8;
le_tile le_pairs_1_double_dsp_s8, le_pairs_3_double_dsp_s8, le_pairs_5_double_dsp_s8;
le_tile le_pairs_1_pooled_double_dsp_s8, le_pairs_3_pooled_double_dsp_s8, le_pairs_5_pooled_double_dsp_s8;

/* A strip and its sizes: words of a cell, cells of a column, columns. */
typedef struct {
    uint32_t *odd, *even, *next;
    size_t words, pairs, columns;
} le_strip;

/* A pixel of all channels in pairs order, into every `words`th word. */
static inline uint32_t *put_pixel(const int8_t *pixel, size_t channels, uint32_t *to, size_t words)
{
    for (; channels >= 4; channels -= 4, pixel += 4, to += 2 * words) {
        const uint32_t bytes = le_four_bytes(pixel);
        to[0] = le_sxtb16(bytes);
        to[words] = le_sxtb16_ror8(bytes);
    }
    if (channels >= 2) {
        *to = le_pkhbt((uint32_t)pixel[0], (uint32_t)pixel[1]);
        to += words;
    }
    if ((channels & 1) != 0) {
        *to = (uint32_t)pixel[channels - 1];
        to += words;
    }
    return to;
}

static uint32_t *put_padding(int8_t value, uint32_t *to, size_t pixels, const le_strip *strip)
{
    const uint32_t padding = le_pkhbt((uint32_t)value, (uint32_t)value);
    for (uint32_t *const end = to + pixels * strip->pairs * strip->words; to != end; to += strip->words) {
        *to = padding;
    }
    return to;
}

/* Every second pixel of a row, from x on, into one word of each cell of an array; line is NULL outside. */
static void put_pixels(LE_TABLE le_windows *windows, const int8_t *line, int x, uint32_t *to, const le_strip *strip)
{
    const size_t channels = windows->input.channels, words = strip->words;
    const int width = windows->input.width;
    size_t left = strip->columns;
    for (; left != 0 && (line == NULL || x < 0); left--, x += 2) {
        to = put_padding(windows->padding_value, to, 1, strip);
    }
    const int8_t *pixel = line + x * (int)channels;
    for (; left != 0 && x < width; left--, x += 2, pixel += 2 * channels) {
        to = put_pixel(pixel, channels, to, words);
    }
    (void)put_padding(windows->padding_value, to, left, strip);
}

/* One word of each cell: `even` has even pixels and gets differences, as does `next`. */
static void put_differences(const le_strip *strip, size_t word)
{
    const size_t words = strip->words, column = strip->pairs * words;
    const uint32_t *odd = strip->odd + word, *const end = odd + strip->columns * column;
    uint32_t *even = strip->even + word, *next = strip->next + word;
    for (const uint32_t *const first = odd + column; odd != first; odd += words, even += words) {
        *even = le_ssub16(*even, *odd);
    }
    for (const uint32_t *before = strip->odd + word; odd != end; odd += words, before += words, even += words) {
        const uint32_t x = *even;
        *even = le_ssub16(x, *odd);
        *next = le_ssub16(x, *before);
        next += words;
    }
}

/* Row y of the input, counted from the padding's first, as word `word` of each cell. */
static void put_row(LE_TABLE le_windows *windows, const int8_t *input, int y, const le_strip *strip, size_t word)
{
    const int row = y - windows->pad_top;
    const size_t line = (size_t)windows->input.width * windows->input.channels;
    const int8_t *const from = row >= 0 && row < windows->input.height ? input + (size_t)row * line : NULL;
    put_pixels(windows, from, -(int)windows->pad_left, strip->even + word, strip);
    put_pixels(windows, from, 1 - (int)windows->pad_left, strip->odd + word, strip);
    put_differences(strip, word);
}

static void move_up(uint32_t *x, size_t cells, size_t words)
{
    for (const uint32_t *const end = x + cells * words; x != end; x += 2) {
        for (const uint32_t *const last = x + words - 2; x != last; x += 2) {
            x[0] = x[2];
            x[1] = x[3];
        }
    }
}

static void prepare(LE_TABLE le_windows *windows, const int8_t *input, int row, const le_strip *strip)
{
    const size_t kept = strip->words - 2;
    if (row != 0) {
        move_up(strip->odd, 3 * strip->columns * strip->pairs, strip->words); /* the arrays follow each other */
    }
    for (size_t word = row == 0 ? 0 : kept; word < strip->words; word++) {
        put_row(windows, input, 2 * row + (int)word, strip, word);
    }
}

static le_tile *tile_function(LE_TABLE le_dsp_tiles *layer)
{
    switch (layer->windows.window_h) {
    case 1:
        return layer->pooled ? le_pairs_1_pooled_dsp_s8 : le_pairs_1_dsp_s8;
    case 3:
        return layer->pooled ? le_pairs_3_pooled_dsp_s8 : le_pairs_3_dsp_s8;
    default:
        return layer->pooled ? le_pairs_5_pooled_dsp_s8 : le_pairs_5_dsp_s8;
    }
}

static le_tile *tile_function_double(LE_TABLE le_dsp_tiles *layer)
{
    switch (layer->windows.window_h) {
    case 1:
        return layer->pooled ? le_pairs_1_pooled_double_dsp_s8 : le_pairs_1_double_dsp_s8;
    case 3:
        return layer->pooled ? le_pairs_3_pooled_double_dsp_s8 : le_pairs_3_double_dsp_s8;
    default:
        return layer->pooled ? le_pairs_5_pooled_double_dsp_s8 : le_pairs_5_double_dsp_s8;
    }
}

/* One row of tiles into planes, or pooled outputs. */
static void run_row(LE_TABLE le_dsp_tiles *layer, le_tile *tile, const le_strip *strip, int8_t *output, uint32_t plane,
                    size_t tiles)
{
    const size_t column = strip->pairs * strip->words, channels = layer->windows.output.channels;
    const size_t wide = (layer->windows.window_w + 1u) / 2, cells[3] = {wide, wide, wide - 1};
    const uint32_t *const start[3] = {strip->odd, strip->even, strip->next};
    le_cells of[3];
    for (size_t i = 0; i < 3; i++) {
        const size_t count = cells[i] * strip->pairs;
        const uint32_t left_out = count == 0 ? LE_DSP_CELLS : (uint32_t)(LE_DSP_CELLS - count % LE_DSP_CELLS) % LE_DSP_CELLS;
        of[i].x = start[i];
        of[i].end = start[i] + cells[i] * column;
        of[i].entry = left_out * LE_DSP_CELL_BYTES * layer->windows.window_h + 1;
    }
    for (; tiles != 0; tiles--, output += channels) {
        tile(of, layer->table, output, plane, layer->groups);
        for (size_t i = 0; i < 3; i++) {
            of[i].x += column;
            of[i].end += column;
        }
    }
}

static void convolve(LE_TABLE le_dsp_tiles *layer, le_tile *tile, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const size_t channels = windows->output.channels, tiles = le_tiles_dsp(layer, windows->output.width);
    const size_t rows = le_tiles_dsp(layer, windows->output.height), plane = LE_DSP_PLANE(tiles, channels);
    le_strip strip;
    strip.words = windows->window_h + 1u;
    strip.pairs = (windows->input.channels + 1u) / 2;
    strip.columns = tiles + windows->window_w / 2;
    const size_t size = strip.columns * strip.pairs * strip.words;
    strip.odd = (uint32_t *)(void *)scratch;
    strip.even = strip.odd + size;
    strip.next = strip.even + size;
    int8_t *const planes = (int8_t *)(strip.next + size);
    const int direct = layer->pooled && channels % 4 == 0; /* a group of fewer channels writes over its end */
    for (size_t row = 0; row < rows; row++) {
        prepare(windows, input, (int)row, &strip);
        run_row(layer, tile, &strip, direct ? output : planes, (uint32_t)plane, tiles);
        if (!layer->pooled) {
            le_interleave_dsp_s8(layer, planes, plane, row, output);
        } else if (!direct) {
            memcpy(output, planes, tiles * channels);
        }
        output += layer->pooled ? tiles * channels : 0;
    }
}

void le_conv2d_pairs_dsp_s8(LE_TABLE le_dsp_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    convolve(layer, tile_function(layer), input, scratch, output);
}

void le_conv2d_pairs_double_dsp_s8(LE_TABLE le_dsp_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    convolve(layer, tile_function_double(layer), input, scratch, output);
}
