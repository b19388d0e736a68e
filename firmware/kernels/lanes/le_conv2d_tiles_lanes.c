/* Convolutions of stride 1 in tiles of 2 x 2 positions; a tile is in le_tile_*.S. */
#include "le_tiles_lanes.h"

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
    const le_tile tile = le_tile_of(windows);
    const size_t most = 2u * layer->strip_tiles + windows->window_w - 1;
    uint8_t *const strip = (uint8_t *)scratch;
    int8_t *const planes = scratch + (most * windows->input.channels * (windows->window_h + 1u) + 3) / 4 * 4;
    for (size_t row = 0; row < height; row += 2) {
        for (size_t first = 0; first < width; first += 2u * layer->strip_tiles) {
            const size_t left = (width - first + 1) / 2, tiles = left < layer->strip_tiles ? left : layer->strip_tiles;
            const size_t columns = 2 * tiles + windows->window_w - 1;
            const le_tile_arguments arguments = {(uint32_t)columns, layer->weights_bytes, layer->plane, layer->pooled,
                                                 (uint32_t)channels};
            le_put_strip(windows, input, (int)row, (int)first, columns, strip);
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
