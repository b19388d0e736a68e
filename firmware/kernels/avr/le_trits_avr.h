/* A ternary matrix times a vector: what the functions of both requantisations share; le_trits_avr.S has the loops. */
#ifndef LE_TRITS_AVR_H
#define LE_TRITS_AVR_H

#include "le_avr.h"

#include <string.h>

/* As the assembly has it; offsets are in le_trits_macros_avr.h. */
typedef struct {
    uint8_t inputs[5]; /* x + 128 */
    uint8_t *sums;     /* int24 [outputs, up to a multiple of four] */
    uint8_t *made;     /* what five inputs add up to: low bytes, and high bytes 256 further on */
    uint16_t outputs;
    int8_t *output;
    uint8_t start[3]; /* of the sums, int24 */
    LE_TABLE uint8_t *table;
} le_five_avr;

void le_add_five_avr_s8(le_five_avr *five); /* leaves the table behind what it has read */

/* outputs: what makes them of the sums, and of what these start from. */
static inline void le_fully_connected_trits_by(LE_TABLE le_matrix_avr *matrix, const int8_t *input, int8_t *scratch,
                                               int8_t *output, void (*outputs)(le_five_avr *five))
{
    const uint16_t sums_bytes = 3 * LE_AVR_PADDED(matrix->outputs);
    le_five_avr five = {.sums = (uint8_t *)scratch, .made = (uint8_t *)scratch + sums_bytes, .outputs = matrix->outputs,
                        .output = output, .table = matrix->table};
    uint32_t sum = 0;
    memset(scratch, 0, sums_bytes);
    for (uint16_t left = matrix->inputs; left != 0;) {
        for (uint8_t i = 0; i < 5; i++) {
            five.inputs[i] = 0;
            if (left != 0) {
                five.inputs[i] = (uint8_t)(*input++ ^ 0x80);
                sum += five.inputs[i];
                left--;
            }
        }
        le_add_five_avr_s8(&five);
    }
    sum = 0 - sum;
    five.start[0] = (uint8_t)sum;
    five.start[1] = (uint8_t)(sum >> 8);
    five.start[2] = (uint8_t)(sum >> 16);
    outputs(&five);
}

#endif
