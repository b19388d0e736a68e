/* Tiles of a convolution of which channels see only some others: each pair of output channels reads its own run of the
 * strip, whose first channels are once more behind the last. */
#include "le_tiles_lanes.h"

#define PLANE 2 /* bytes of the outputs of one position: of a pair */

/* Where the outputs of a tile's positions go, NULL for those that are outside. */
static void find_positions(LE_TABLE le_windows *windows, size_t row, size_t column, int8_t *output, int8_t *to[4])
{
    const size_t channels = windows->output.channels, width = windows->output.width;
    for (size_t i = 0; i < 4; i++) {
        const size_t y = row + i / 2, x = column + i % 2;
        to[i] = y < windows->output.height && x < width ? output + (y * width + x) * channels : NULL;
    }
}

static void put_pair(const int8_t *planes, LE_TABLE uint8_t *pair, int8_t *const to[4], size_t positions)
{
    const uint8_t a = pair[2], b = pair[3];
    for (size_t i = 0; i < positions; i++, planes += PLANE) {
        if (to[i] != NULL) {
            to[i][b] = planes[1]; /* an output that is alone has b = a */
            to[i][a] = planes[0];
        }
    }
}

void le_conv2d_connected_lanes_s8(LE_TABLE le_lanes_connected *layer, const int8_t *input, int8_t *scratch,
                                  int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->tiles.windows;
    const uint8_t pooled = layer->tiles.pooled;
    const size_t step = pooled ? 2 : 1; /* positions of the convolution to a side of an output */
    const size_t height = windows->output.height * step, width = windows->output.width * step;
    const size_t channels = windows->input.channels, rows = windows->window_h + 1u, most = layer->tiles.strip_tiles;
    const size_t most_bytes = (2 * most + windows->window_w - 1) * rows * (channels + layer->repeated);
    const le_tile tile = le_tile_of(windows);
    uint8_t *const strip = (uint8_t *)scratch;
    int8_t *const planes = scratch + (most_bytes + 3) / 4 * 4;
    le_tile_arguments arguments = {0, 0, PLANE, pooled, 2};
    for (size_t row = 0; row < height; row += 2) {
        for (size_t first = 0; first < width; first += 2 * most) {
            const size_t left = (width - first + 1) / 2, tiles = left < most ? left : most;
            const size_t columns = 2 * tiles + windows->window_w - 1, channel = columns * rows;
            arguments.row_bytes = (uint32_t)columns;
            le_put_strip(windows, input, (int)row, (int)first, columns, strip);
            memcpy(strip + channels * channel, strip, layer->repeated * channel);
            for (size_t i = 0; i < tiles; i++) {
                int8_t *to[4];
                LE_TABLE uint32_t *table = layer->tiles.table;
                LE_TABLE uint8_t *pair = layer->pairs;
                find_positions(windows, row / step, (first + 2 * i) / step, output, to);
                for (uint8_t pairs = layer->count; pairs != 0; pairs--, pair += 4) {
                    arguments.weights_bytes = (uint32_t)pair[1] * layer->tiles.weights_bytes;
                    tile(strip + pair[0] * channel + 2 * i, table, planes, &arguments);
                    put_pair(planes, pair, to, pooled ? 1 : 4);
                    table += arguments.weights_bytes / 4 + LE_LANES_PAIR_WORDS;
                }
            }
        }
    }
}
