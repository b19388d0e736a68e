/* A ternary matrix times a vector, with TFLM's requantisation; le_trits_avr.S has the loops. */
#include "le_trits_avr.h"

void le_outputs_of_five_double_avr_s8(le_five_avr *five); /* the sums have their start in them */

static void le_outputs_of_five_started(le_five_avr *five)
{
    const uint32_t start = five->start[0] | (uint32_t)five->start[1] << 8 | (uint32_t)five->start[2] << 16;
    uint8_t *at = five->sums;
    for (uint16_t left = five->outputs; left != 0; left--, at += 3) {
        const uint32_t sum = (at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16) + start;
        at[0] = (uint8_t)sum;
        at[1] = (uint8_t)(sum >> 8);
        at[2] = (uint8_t)(sum >> 16);
    }
    le_outputs_of_five_double_avr_s8(five);
}

void le_fully_connected_trits_double_avr_s8(LE_TABLE le_matrix_avr *matrix, const int8_t *input, int8_t *scratch,
                                            int8_t *output)
{
    le_fully_connected_trits_by(matrix, input, scratch, output, le_outputs_of_five_started);
}
