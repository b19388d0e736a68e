/* Convolution by tiles of 2 x 2 positions; what computes one is in le_tile_macros_avr.h. A strip of the patches of all
 * tiles in a row overlaps less than the patches by themselves, but only that of one input channel is small.
 * AHEAD: bytes that are left free in front of the patch of each channel. */
#ifndef LE_TILES_AVR_H
#define LE_TILES_AVR_H

#include "le_avr.h"

/* What a patch is cut out of, and its sizes: those of the layer, read from flash once. */
typedef struct {
    int height, width;
    uint16_t channels, line; /* bytes of a row of the input */
    uint16_t columns;
    uint8_t rows, padding;
} le_cut_avr;

/* One row of the input, from column `left` on, into every rows-th byte of a patch. line: pixel 0; NULL: all padding. */
static void unpack_row(const int8_t *line, int left, const le_cut_avr *by, uint8_t *to)
{
    const uint8_t padding = by->padding, pitch = by->rows;
    const uint16_t channels = by->channels;
    const int width = line ? by->width : 0;
    uint16_t columns = by->columns;
    for (; columns != 0 && (left < 0 || left >= width); columns--, left++, to += pitch) {
        *to = padding;
    }
    if (columns == 0) {
        return;
    }
    uint16_t inside = (uint16_t)(width - left);
    inside = inside < columns ? inside : columns;
    columns = (uint16_t)(columns - inside);
    for (line += (size_t)left * channels; inside != 0; inside--, line += channels, to += pitch) {
        *to = (uint8_t)(*line ^ 0x80);
    }
    for (; columns != 0; columns--, to += pitch) {
        *to = padding;
    }
}

/* A patch that lies inside: column by column. */
static void unpack_inside(const le_cut_avr *by, const int8_t *from, uint8_t *to)
{
    const uint16_t line = by->line, channels = by->channels, columns = by->columns;
    const uint8_t rows = by->rows;
    for (uint16_t c = channels; c != 0; c--, from++) {
        const int8_t *top = from;
        to += AHEAD;
        for (uint16_t x = columns; x != 0; x--, top += channels) {
            const int8_t *value = top;
            uint8_t y = rows;
            do {
                *to++ = (uint8_t)(*value ^ 0x80);
                value += line;
            } while (--y != 0);
        }
    }
}

/* The patch, or strip, from (top, left) on. */
static void unpack(const le_cut_avr *by, const int8_t *input, int top, int left, uint8_t *to)
{
    const uint8_t rows = by->rows;
    if (top >= 0 && left >= 0 && top + rows <= by->height && left + (int)by->columns <= by->width) {
        unpack_inside(by, input + (size_t)top * by->line + (size_t)left * by->channels, to);
        return;
    }
    to += AHEAD;
    for (uint16_t c = by->channels; c != 0; c--, input++, to += rows * by->columns + AHEAD) {
        for (uint8_t row = 0; row < rows; row++) {
            const int y = top + row;
            unpack_row(y >= 0 && y < by->height ? input + (size_t)y * by->line : NULL, left, by, to + row);
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

static void convolve(LE_TABLE le_tiles_avr *layer, le_tile_function_avr *compute, const int8_t *input, int8_t *scratch,
                     int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const uint8_t rows = (uint8_t)(windows->window_h + 1), is_pooled = windows->pool_h == 2;
    const uint16_t inputs = windows->input.channels, channels = layer->channels, all = windows->output.channels;
    const uint16_t height = windows->output.height, width = windows->output.width;
    const uint8_t pace = is_pooled ? 1 : 2; /* of the output, from a tile to the next */
    const uint16_t tiles = is_pooled ? width : (uint16_t)(width / 2 + width % 2);
    const uint16_t at_once = inputs == 1 ? tiles : 1;
    const le_cut_avr by = {
        (int)windows->input.height, (int)windows->input.width, inputs, (uint16_t)(windows->input.width * inputs),
        (uint16_t)(2 * (at_once - 1) + rows), rows, (uint8_t)(windows->padding_value ^ 0x80),
    };
    int8_t *const outputs = scratch + ((size_t)by.columns * rows + AHEAD) * inputs;
    le_tile_avr tile = {.inputs = (uint8_t)inputs, .pooled = is_pooled, .table = layer->table};
    int top = -(int)windows->pad_top;
    for (uint16_t y = 0; y < height; y = (uint16_t)(y + pace), top += 2) {
        int left = -(int)windows->pad_left;
        for (uint16_t i = 0; i < tiles; i++, left += 2) {
            if (i == 0 || at_once == 1) {
                unpack(&by, input, top, left, (uint8_t *)scratch);
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

#endif
