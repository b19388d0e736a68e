/* Convolution by tiles of 2 x 2 positions; what computes one is in le_tile_macros_avr.h. A strip of the patches of all
 * tiles in a row overlaps less than the patches by themselves, but only that of one input channel is small. */
#include "le_avr.h"

/* One row of the input, from column `left` on, into every pitch-th byte of a patch: x + 128 of `columns` pixels. */
static void unpack_row(const int8_t *line, int left, int width, uint16_t channels, uint8_t padding, uint16_t columns,
                       uint8_t *to, uint8_t pitch)
{
    for (; columns != 0 && left < 0; columns--, left++, to += pitch) {
        *to = padding;
    }
    uint16_t inside = left >= width ? 0 : (uint16_t)(width - left);
    inside = inside > columns ? columns : inside;
    columns = (uint16_t)(columns - inside);
    line += (size_t)left * channels;
    for (; inside != 0; inside--, line += channels, to += pitch) {
        *to = (uint8_t)(*line ^ 0x80);
    }
    for (; columns != 0; columns--, to += pitch) {
        *to = padding;
    }
}

/* The patch, or strip, of `columns` columns and kernel + 1 rows from (top, left) on. */
static void unpack(LE_TABLE le_windows *windows, const int8_t *input, int top, int left, uint16_t columns, uint8_t *to)
{
    const int height = (int)windows->input.height, width = (int)windows->input.width;
    const uint16_t channels = windows->input.channels;
    const size_t line = (size_t)width * channels;
    const uint8_t rows = (uint8_t)(windows->kernel_h + 1), padding = (uint8_t)(windows->padding_value ^ 0x80);
    for (uint16_t c = 0; c < channels; c++, to += rows * columns) {
        const int8_t *from = input + top * (int)line + (int)c;
        for (uint8_t y = 0; y < rows; y++, from += line) {
            const uint8_t is_inside = top + y >= 0 && top + y < height;
            unpack_row(from, left, is_inside ? width : -1, channels, padding, columns, to + y, rows);
        }
    }
}

/* Without pooling: the outputs of a tile, int8 [channels][4], to those of its positions that exist. */
static void scatter(LE_TABLE le_windows *windows, uint16_t channels, const int8_t *tile, uint16_t row, uint16_t column,
                    int8_t *output)
{
    const uint16_t width = windows->output.width;
    for (uint8_t i = 0; i < 4; i++, tile++) {
        const uint16_t y = row + i / 2, x = column + i % 2;
        if (y < windows->output.height && x < width) {
            int8_t *to = output + ((size_t)y * width + x) * windows->output.channels;
            for (uint16_t c = 0; c < channels; c++) {
                to[c] = tile[4 * c];
            }
        }
    }
}

void le_conv2d_tiles_avr(LE_TABLE le_tiles_avr *layer, le_tile_function_avr *compute, const int8_t *input,
                         int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const uint8_t rows = (uint8_t)(windows->kernel_h + 1), is_pooled = windows->pool_h == 2;
    const uint16_t inputs = windows->input.channels, channels = layer->channels, all = windows->output.channels;
    const uint16_t height = windows->output.height, width = windows->output.width;
    const uint8_t pace = is_pooled ? 1 : 2; /* of the output, from a tile to the next */
    const uint16_t tiles = is_pooled ? width : (uint16_t)(width / 2 + width % 2);
    const uint16_t at_once = inputs == 1 ? tiles : 1;
    const uint16_t columns = (uint16_t)(2 * (at_once - 1) + rows);
    int8_t *const outputs = scratch + (size_t)columns * rows * inputs;
    le_tile_avr tile;
    tile.inputs = (uint8_t)inputs;
    tile.pooled = is_pooled;
    tile.table = layer->table;
    int top = -(int)windows->pad_top;
    for (uint16_t y = 0; y < height; y = (uint16_t)(y + pace), top += 2) {
        int left = -(int)windows->pad_left;
        for (uint16_t i = 0; i < tiles; i++, left += 2) {
            if (i == 0 || at_once == 1) {
                unpack(windows, input, top, left, columns, (uint8_t *)scratch);
                tile.patch = (const uint8_t *)scratch;
            }
            tile.output = is_pooled ? output : outputs;
            tile.channels = channels;
            compute(&tile);
            tile.patch += 2 * rows;
            if (is_pooled) {
                output += all;
            } else {
                scatter(windows, channels, outputs, y, (uint16_t)(2 * i), output);
            }
        }
    }
}
