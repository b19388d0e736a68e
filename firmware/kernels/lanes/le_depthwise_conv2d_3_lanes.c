/* Depthwise convolutions with windows of 3 x 3, on the tie-free grid. */
#include "le_depthwise_3_lanes.h"

static void channel(LE_TABLE le_lanes_depthwise *layer, LE_TABLE uint32_t *table, const uint8_t *strip, size_t rows,
                    int8_t *output)
{
    LE_TABLE uint32_t *const words = table + 3;
    int32_t unpacked[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, (int32_t)words[0], (int32_t)words[1], (int32_t)(words[2] >> 14),
                            (int32_t)(words[2] & 0x3FFF)};
    le_compute_3_lanes(layer, (const int8_t *)table, unpacked, strip, rows, output, le_depthwise_3_divided_lanes);
}

void le_depthwise_conv2d_3_lanes_s8(LE_TABLE le_lanes_depthwise *layer, const int8_t *input, int8_t *scratch,
                                    int8_t *output)
{
    le_depthwise_lanes_s8(layer, input, (uint8_t *)scratch, output, channel);
}
