/* What the convolutions in tiles share: the strip, and the tile of le_tile_*.S. */
#ifndef LE_TILES_LANES_H
#define LE_TILES_LANES_H

#include "le_lanes.h"

#include <string.h>

/* row_bytes of the strip; weights_bytes, plane and pooled of the layer; output channels. */
typedef struct {
    uint32_t row_bytes, weights_bytes, plane, pooled, channels;
} le_tile_arguments;

typedef void (*le_tile)(const uint8_t *u, LE_TABLE uint32_t *table, int8_t *output, const le_tile_arguments *arguments);
void le_tile_1_lanes_s8(const uint8_t *u, LE_TABLE uint32_t *table, int8_t *output, const le_tile_arguments *arguments);
void le_tile_3_lanes_s8(const uint8_t *u, LE_TABLE uint32_t *table, int8_t *output, const le_tile_arguments *arguments);
void le_tile_5_lanes_s8(const uint8_t *u, LE_TABLE uint32_t *table, int8_t *output, const le_tile_arguments *arguments);

static LE_NOINLINE uint8_t *le_put_padding(uint8_t *to, int count, uint8_t u)
{
    for (; count > 0; count--) {
        *to++ = u;
    }
    return to;
}

/* One row of the strip in one channel: `columns` from column `left` of the input row `from` on, NULL where it is outside. */
static inline void le_put_row(LE_TABLE le_windows *windows, const int8_t *from, int left, int columns, uint8_t *to)
{
    const int width = windows->input.width, end = left + columns;
    const size_t channels = windows->input.channels;
    const uint8_t padding = (uint8_t)(windows->padding_value + 128);
    const int first = left < 0 ? 0 : left, behind = end < width ? end : width;
    int count = from == NULL ? 0 : behind - first;
    if (count <= 0) {
        le_put_padding(to, columns, padding);
        return;
    }
    to = le_put_padding(to, first - left, padding);
    from += (size_t)first * channels;
    for (; count > 0; count--, from += channels) {
        *to++ = (uint8_t)(*from ^ 0x80);
    }
    le_put_padding(to, end - behind, padding);
}

/* The strip of the tiles whose upper left positions are (row, column) and so on. */
static inline void le_put_strip(LE_TABLE le_windows *windows, const int8_t *input, int row, int column, size_t columns, uint8_t *to)
{
    const size_t channels = windows->input.channels;
    const int top = row - windows->pad_top, left = column - windows->pad_left;
    for (size_t channel = 0; channel < channels; channel++) {
        for (int y = top; y <= top + windows->window_h; y++, to += columns) {
            const int inside = y >= 0 && y < windows->input.height;
            const size_t row_bytes = windows->input.width * channels;
            le_put_row(windows, inside ? input + (size_t)y * row_bytes + channel : NULL, left, (int)columns, to);
        }
    }
}

static inline le_tile le_tile_of(LE_TABLE le_windows *windows)
{
    return windows->window_h == 5 ? le_tile_5_lanes_s8 : windows->window_h == 3 ? le_tile_3_lanes_s8 : le_tile_1_lanes_s8;
}

#endif
