/* Convolutions two positions at a time, with TFLM's requantisation. */
#include "le_positions_lanes.h"

void le_conv2d_positions_double_lanes_s8(LE_TABLE le_lanes_positions *layer, const int8_t *input, int8_t *scratch,
                                         int8_t *output)
{
    le_positions_lanes_s8(layer, input, scratch, output, le_two_positions_double_lanes_s8);
}
