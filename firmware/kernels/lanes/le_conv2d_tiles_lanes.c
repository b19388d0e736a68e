/* Convolutions of stride 1 in tiles of 2 x 2 positions; a tile is in le_tile_*.S. */
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

static LE_NOINLINE uint8_t *put_padding(uint8_t *to, int count, uint8_t u)
{
    for (; count > 0; count--) {
        *to++ = u;
    }
    return to;
}

/* One row of the strip in one channel: `columns` from column `left` of the input row `from` on, NULL where it is outside. */
static void put_row(LE_TABLE le_windows *windows, const int8_t *from, int left, int columns, uint8_t *to)
{
    const int width = windows->input.width, end = left + columns;
    const size_t channels = windows->input.channels;
    const uint8_t padding = (uint8_t)(windows->padding_value + 128);
    const int first = left < 0 ? 0 : left, behind = end < width ? end : width;
    int count = from == NULL ? 0 : behind - first;
    if (count <= 0) {
        put_padding(to, columns, padding);
        return;
    }
    to = put_padding(to, first - left, padding);
    from += (size_t)first * channels;
    for (; count > 0; count--, from += channels) {
        *to++ = (uint8_t)(*from ^ 0x80);
    }
    put_padding(to, end - behind, padding);
}

/* The strip of the tiles whose upper left positions are (row, column) and so on. */
static void put_strip(LE_TABLE le_windows *windows, const int8_t *input, int row, int column, size_t columns, uint8_t *to)
{
    const size_t channels = windows->input.channels;
    const int top = row - windows->pad_top, left = column - windows->pad_left;
    for (size_t channel = 0; channel < channels; channel++) {
        for (int y = top; y <= top + windows->window_h; y++, to += columns) {
            const int inside = y >= 0 && y < windows->input.height;
            const size_t row_bytes = windows->input.width * channels;
            put_row(windows, inside ? input + (size_t)y * row_bytes + channel : NULL, left, (int)columns, to);
        }
    }
}

/* Without pooling: the positions of a tile to where they belong; the last ones may be outside. */
static void put_positions(LE_TABLE le_lanes_tiles *layer, const int8_t *planes, size_t row, size_t column, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const size_t channels = windows->output.channels, width = windows->output.width;
    for (size_t y = row; y < row + 2 && y < windows->output.height; y++) {
        for (size_t x = column; x < column + 2 && x < width; x++) {
            memcpy(output + (y * width + x) * channels, planes + (2 * (y - row) + (x - column)) * layer->plane, channels);
        }
    }
}

void le_conv2d_tiles_lanes_s8(LE_TABLE le_lanes_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const size_t channels = windows->output.channels, per_tile = layer->pooled ? 1 : 2;
    const size_t height = windows->output.height * (3 - per_tile), width = windows->output.width * (3 - per_tile);
    const le_tile tile = windows->window_h == 5 ? le_tile_5_lanes_s8 : windows->window_h == 3 ? le_tile_3_lanes_s8 : le_tile_1_lanes_s8;
    const size_t most = 2u * layer->strip_tiles + windows->window_w - 1;
    uint8_t *const strip = (uint8_t *)scratch;
    int8_t *const planes = scratch + (most * windows->input.channels * (windows->window_h + 1u) + 3) / 4 * 4;
    for (size_t row = 0; row < height; row += 2) {
        for (size_t first = 0; first < width; first += 2u * layer->strip_tiles) {
            const size_t left = (width - first + 1) / 2, tiles = left < layer->strip_tiles ? left : layer->strip_tiles;
            const size_t columns = 2 * tiles + windows->window_w - 1;
            const le_tile_arguments arguments = {(uint32_t)columns, layer->weights_bytes, layer->plane, layer->pooled,
                                                 (uint32_t)channels};
            put_strip(windows, input, (int)row, (int)first, columns, strip);
            for (size_t i = 0; i < tiles; i++) {
                if (layer->pooled) {
                    tile(strip + 2 * i, layer->table, output, &arguments);
                    output += channels;
                } else {
                    tile(strip + 2 * i, layer->table, planes, &arguments);
                    put_positions(layer, planes, row, first + 2 * i, output);
                }
            }
        }
    }
}
