/* Convolutions that the tiles do not take, with weights of -1, 0 and 1. */
#include "le_patches_avr.h"

void le_conv2d_patches_ternary_avr_s8(LE_TABLE le_patches_avr *layer, uint8_t in_byte, le_groups_function_avr *groups,
                                      const int8_t *input, int8_t *scratch, int8_t *output)
{
    le_conv2d_patches_by(layer, input, scratch, output, 0, in_byte, groups);
}
