/* Matrix times vector, eight outputs at a time; the loop is in le_matrix_*.S. */
#include "le_lanes.h"

LE_TABLE uint32_t *le_matrix_lanes(const uint8_t *u, LE_TABLE uint32_t *table, const uint8_t *u_end, int32_t *sums);

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
    uint8_t *const u = (uint8_t *)scratch, *const end = u + 4u * matrix->steps;
    uint8_t *to = u;
    int32_t sum = 0;
    for (const int8_t *const stop = input + matrix->inputs; input < stop; input++, to++) {
        *to = (uint8_t)(*input ^ 0x80);
        sum += *to;
    }
    while (to < end) {
        *to++ = 0;
    }
    LE_TABLE uint32_t *table = matrix->table;
    for (uint16_t left = matrix->outputs;; left = (uint16_t)(left - LE_LANES_OUTPUTS)) {
        int32_t sums[LE_LANES_OUTPUTS] = {-64 * sum};
        table = le_matrix_lanes(u, table, end, sums);
        for (uint16_t i = 0; i < LE_LANES_OUTPUTS && i < left; i++) {
            *output++ = requantize(sums[i], table + 4 * i);
        }
        if (left <= LE_LANES_OUTPUTS) {
            return;
        }
        table += 4 * LE_LANES_OUTPUTS;
    }
}
