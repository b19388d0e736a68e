/* Matrix times vector with TFLM's requantisation. */
#include "le_matrix_lanes.h"

void le_fully_connected_double_lanes_s8(LE_TABLE le_lanes_matrix *matrix, const int8_t *input, int8_t *scratch,
                                        int8_t *output)
{
    le_multiply_lanes_s8(matrix, input, scratch, output, 128, 3, le_requantize_double_lanes);
}
