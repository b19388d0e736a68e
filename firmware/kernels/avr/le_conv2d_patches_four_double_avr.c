/* Convolutions that the tiles do not take, of four bits, with TFLM's requantisation. */
#include "le_patches_avr.h"

void le_groups_four_double_avr_s8(le_vector_avr *vector);

void le_conv2d_patches_four_double_avr_s8(LE_TABLE le_patches_avr *layer, const int8_t *input, int8_t *scratch,
                                          int8_t *output)
{
    le_conv2d_patches_by(layer, input, scratch, output, 8, 4, le_groups_four_double_avr_s8);
}
