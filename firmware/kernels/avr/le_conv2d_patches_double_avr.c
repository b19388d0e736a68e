/* Convolutions that the tiles do not take, with TFLM's requantisation. */
#include "le_avr.h"
#include "le_patches.h"

static void multiply(const le_patches *layer, int8_t *output)
{
    LE_TABLE le_matrix_avr *const matrix = (LE_TABLE le_matrix_avr *)layer->matrix;
    le_fully_connected_double_avr_s8(matrix, layer->patch, layer->scratch, output);
}

void le_conv2d_patches_double_avr_s8(LE_TABLE le_patches_avr *layer, const int8_t *input, int8_t *scratch,
                                     int8_t *output)
{
    int8_t *const patch = scratch + LE_AVR_PADDED(layer->matrix.inputs);
    const le_patches patches = {&layer->windows, &layer->matrix, layer->matrix.outputs, scratch,
                                patch,           patch + LE_AVR_PADDED(layer->matrix.inputs)};
    le_patches_s8(&patches, input, output, multiply, le_copy_patch_s8, le_maximum_of_s8);
}
