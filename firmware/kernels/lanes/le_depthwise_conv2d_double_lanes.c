/* Depthwise convolutions of any window, with TFLM's requantisation. */
#include "le_depthwise_any_lanes.h"

static void channel(LE_TABLE le_lanes_depthwise *layer, LE_TABLE uint32_t *table, const uint8_t *strip, size_t rows,
                    int8_t *output)
{
    le_depthwise_any_lanes(layer, table, strip, rows, output, 3, le_requantize_double_lanes);
}

void le_depthwise_conv2d_double_lanes_s8(LE_TABLE le_lanes_depthwise *layer, const int8_t *input, int8_t *scratch,
                                         int8_t *output)
{
    le_depthwise_lanes_s8(layer, input, (uint8_t *)scratch, output, channel);
}
