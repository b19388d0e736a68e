/* Matrix times vector on the tie-free grid. */
#include "le_matrix_lanes.h"

void le_fully_connected_lanes_s8(LE_TABLE le_lanes_matrix *matrix, const int8_t *input, int8_t *scratch, int8_t *output)
{
    le_multiply_lanes_s8(matrix, input, scratch, output, 64, 4, le_requantize_tie_free_lanes);
}
