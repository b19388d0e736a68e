/* A ternary matrix times a vector; le_trits_avr.S has the loops. */
#include "le_trits_avr.h"

void le_outputs_of_five_avr_s8(le_five_avr *five);

void le_fully_connected_trits_avr_s8(LE_TABLE le_matrix_avr *matrix, const int8_t *input, int8_t *scratch,
                                     int8_t *output)
{
    le_fully_connected_trits_by(matrix, input, scratch, output, le_outputs_of_five_avr_s8);
}
