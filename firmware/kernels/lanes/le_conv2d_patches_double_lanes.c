/* le_conv2d_patches_lanes.c with TFLM's requantisation. */
#include "le_lanes.h"
#include "le_patches.h"

static void multiply(const le_patches *layer, int8_t *output)
{
    LE_TABLE le_lanes_matrix *const matrix = (LE_TABLE le_lanes_matrix *)layer->matrix;
    le_fully_connected_double_lanes_s8(matrix, layer->patch, layer->scratch, output);
}

void le_conv2d_patches_double_lanes_s8(LE_TABLE le_lanes_patches *layer, const int8_t *input, int8_t *scratch,
                                       int8_t *output)
{
    const le_patches patches = {&layer->windows, &layer->matrix, layer->matrix.outputs, scratch,
                                scratch + layer->patch_offset, scratch + layer->outputs_offset};
    le_patches_s8(&patches, input, output, multiply, le_copy_patch_s8, le_maximum_of_s8);
}
