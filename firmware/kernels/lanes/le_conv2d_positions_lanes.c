/* Convolutions two positions at a time, on the tie-free grid. */
#include "le_positions_lanes.h"

void le_conv2d_positions_lanes_s8(LE_TABLE le_lanes_positions *layer, const int8_t *input, int8_t *scratch,
                                  int8_t *output)
{
    le_positions_lanes_s8(layer, input, scratch, output, le_two_positions_divided_lanes_s8);
}
