/* Convolutions that the tiled kernels do not take. */
#include "le_dsp.h"
#include "le_patches.h"

static void multiply(const le_patches *layer, int8_t *output)
{
    LE_TABLE le_dsp_matrix *const matrix = (LE_TABLE le_dsp_matrix *)layer->matrix;
    le_fully_connected_dsp_s8(matrix, layer->patch, layer->scratch, output);
}

static void multiply_double(const le_patches *layer, int8_t *output)
{
    LE_TABLE le_dsp_matrix *const matrix = (LE_TABLE le_dsp_matrix *)layer->matrix;
    le_fully_connected_double_dsp_s8(matrix, layer->patch, layer->scratch, output);
}

static void multiply_wide(const le_patches *layer, int8_t *output)
{
    LE_TABLE le_dsp_matrix *const matrix = (LE_TABLE le_dsp_matrix *)layer->matrix;
    le_fully_connected_wide_dsp_s8(matrix, layer->patch, layer->scratch, output);
}

static void multiply_wide_double(const le_patches *layer, int8_t *output)
{
    LE_TABLE le_dsp_matrix *const matrix = (LE_TABLE le_dsp_matrix *)layer->matrix;
    le_fully_connected_wide_double_dsp_s8(matrix, layer->patch, layer->scratch, output);
}

static inline le_patches patches_of(LE_TABLE le_dsp_patches *layer, int8_t *scratch)
{
    const le_patches patches = {&layer->windows, &layer->matrix, layer->matrix.outputs, scratch,
                                scratch + layer->patch_offset, scratch + layer->outputs_offset};
    return patches;
}

void le_conv2d_patches_dsp_s8(LE_TABLE le_dsp_patches *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const le_patches patches = patches_of(layer, scratch);
    le_patches_s8(&patches, input, output, multiply, le_copy_patch_s8, le_maximum_of_s8);
}

void le_conv2d_patches_double_dsp_s8(LE_TABLE le_dsp_patches *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const le_patches patches = patches_of(layer, scratch);
    le_patches_s8(&patches, input, output, multiply_double, le_copy_patch_s8, le_maximum_of_s8);
}

void le_conv2d_patches_wide_dsp_s8(LE_TABLE le_dsp_patches *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const le_patches patches = patches_of(layer, scratch);
    le_patches_s8(&patches, input, output, multiply_wide, le_copy_patch_s8, le_maximum_of_s8);
}

void le_conv2d_patches_wide_double_dsp_s8(LE_TABLE le_dsp_patches *layer, const int8_t *input, int8_t *scratch,
                                          int8_t *output)
{
    const le_patches patches = patches_of(layer, scratch);
    le_patches_s8(&patches, input, output, multiply_wide_double, le_copy_patch_s8, le_maximum_of_s8);
}
