/* Matrix times vector with TFLM's requantisation; the loop is in le_matrix_double_avr.S. */
#include "le_vector_avr.h"

void le_groups_double_avr_s8(le_vector_avr *vector);

void le_fully_connected_double_avr_s8(LE_TABLE le_matrix_avr *matrix, const int8_t *input, int8_t *scratch,
                                      int8_t *output)
{
    le_fully_connected_by(matrix, input, scratch, output, 128, le_groups_double_avr_s8);
}
