/* Depthwise convolutions with windows of 3 x 3, with TFLM's requantisation. */
#include "le_depthwise_3_lanes.h"

static void channel(LE_TABLE le_lanes_depthwise *layer, LE_TABLE uint32_t *table, const uint8_t *strip, size_t rows,
                    int8_t *output)
{
    LE_TABLE uint32_t *const words = table + 3;
    const uint8_t *const by = (const uint8_t *)(words + 2);
    int32_t unpacked[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, (int32_t)words[0], (int32_t)(words[1] >> 16), (uint16_t)words[1],
                            by[0], by[1] - 128, by[2] - 128, by[3] - 128};
    le_compute_3_lanes(layer, (const int8_t *)table, unpacked, strip, rows, output, le_depthwise_3_double_lanes);
}

void le_depthwise_conv2d_3_double_lanes_s8(LE_TABLE le_lanes_depthwise *layer, const int8_t *input, int8_t *scratch,
                                           int8_t *output)
{
    le_depthwise_lanes_s8(layer, input, (uint8_t *)scratch, output, channel);
}
