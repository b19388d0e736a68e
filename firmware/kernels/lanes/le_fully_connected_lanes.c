/* Matrix times vector on the tie-free grid. */
#include "le_matrix_lanes.h"

/* As le_lanes.h says; words: offset, limit, floor(2^18 / q), q. */
static int8_t requantize(int32_t sum, LE_TABLE uint32_t *words)
{
    const int32_t k = sum + (int32_t)words[0];
    if (k < 0) {
        return -128;
    }
    if ((uint32_t)k >= words[1]) {
        return 127;
    }
    const uint32_t t = (uint32_t)k * words[2] >> 18;
    return (int8_t)((int32_t)t + ((uint32_t)k - t * words[3] >= words[3]) - 128);
}

void le_fully_connected_lanes_s8(LE_TABLE le_lanes_matrix *matrix, const int8_t *input, int8_t *scratch, int8_t *output)
{
    le_multiply_lanes_s8(matrix, input, scratch, output, 64, 4, requantize);
}
