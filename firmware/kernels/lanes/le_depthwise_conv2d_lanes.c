/* Depthwise convolutions of any window, on the tie-free grid. */
#include "le_depthwise_any_lanes.h"

/* words: offset, limit, reciprocal. */
static int8_t requantize(int32_t sum, LE_TABLE uint32_t *words)
{
    const int32_t k = sum + (int32_t)words[0];
    if (k < 0) {
        return -128;
    }
    if ((uint32_t)k >= words[1]) {
        return 127;
    }
    const uint32_t upper = words[2] >> 14, lower = words[2] & 0x3FFF;
    return (int8_t)((int32_t)(((uint32_t)k * upper + ((uint32_t)k * lower >> 14)) >> 14) - 128);
}

static void channel(LE_TABLE le_lanes_depthwise *layer, LE_TABLE uint32_t *table, const uint8_t *strip, size_t rows,
                    int8_t *output)
{
    le_depthwise_any_lanes(layer, table, strip, rows, output, 3, requantize);
}

void le_depthwise_conv2d_lanes_s8(LE_TABLE le_lanes_depthwise *layer, const int8_t *input, int8_t *scratch,
                                  int8_t *output)
{
    le_depthwise_lanes_s8(layer, input, (uint8_t *)scratch, output, channel);
}
