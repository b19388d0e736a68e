/* Matrix times vector with weights of four bits and TFLM's requantisation; the loop is in le_matrix_four_double_avr.S. */
#include "le_vector_avr.h"

void le_groups_four_double_avr_s8(le_vector_avr *vector);

void le_fully_connected_four_double_avr_s8(LE_TABLE le_matrix_avr *matrix, const int8_t *input, int8_t *scratch,
                                           int8_t *output)
{
    le_fully_connected_by(matrix, input, scratch, output, 8, le_groups_four_double_avr_s8);
}
