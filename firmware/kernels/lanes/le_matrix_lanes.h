/* Matrix times vector, eight outputs at a time; the loop is in le_matrix_*.S. Both requantisations have this around it,
 * inline. */
#ifndef LE_MATRIX_LANES_H
#define LE_MATRIX_LANES_H

#include "le_lanes.h"
#include "le_requantize_lanes.h"

LE_TABLE uint32_t *le_matrix_lanes(const uint8_t *u, LE_TABLE uint32_t *table, const uint8_t *u_end, int32_t *sums);

/* added: to each weight in the table; words: of each output behind the weights. */
static inline void le_multiply_lanes_s8(LE_TABLE le_lanes_matrix *matrix, const int8_t *input, int8_t *scratch,
                                        int8_t *output, int32_t added, uint8_t words, le_requantize_lanes *requantize)
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
        int32_t sums[LE_LANES_OUTPUTS] = {-added * sum};
        table = le_matrix_lanes(u, table, end, sums);
        for (uint16_t i = 0; i < LE_LANES_OUTPUTS && i < left; i++) {
            *output++ = requantize(sums[i], table + words * i);
        }
        if (left <= LE_LANES_OUTPUTS) {
            return;
        }
        table += words * LE_LANES_OUTPUTS;
    }
}

#endif
