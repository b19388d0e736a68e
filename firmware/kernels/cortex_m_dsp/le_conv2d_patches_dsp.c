/* A convolution as a matrix times vector at each position, for what the tiled kernels do not take. The maximum over a
 * pooling window is taken of the outputs: requantisation is monotone. */
#include "le_dsp.h"

#include <string.h>

static void maximum(int8_t *of, const int8_t *with, uint16_t count)
{
    for (; count != 0; count--, of++, with++) {
        *of = *with > *of ? *with : *of;
    }
}

/* The inputs that one position sees; (top, left) may lie outside. */
static void copy_patch(LE_TABLE le_windows *windows, const int8_t *input, int top, int left, int8_t *patch)
{
    const int height = windows->input.height, width = windows->input.width;
    const size_t channels = windows->input.channels;
    for (int y = top; y < top + windows->kernel_h; y++) {
        for (int x = left; x < left + windows->kernel_w; x++, patch += channels) {
            if (y >= 0 && y < height && x >= 0 && x < width) {
                memcpy(patch, input + ((size_t)y * windows->input.width + (size_t)x) * channels, channels);
            } else {
                memset(patch, windows->padding_value, channels);
            }
        }
    }
}

void le_conv2d_patches_dsp(LE_TABLE le_dsp_patches *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    int8_t *const patch = scratch + layer->patch_offset, *const outputs = scratch + layer->outputs_offset;
    const uint16_t channels = layer->matrix.outputs;
    for (int row = 0; row < windows->output.height; row++) {
        for (int column = 0; column < windows->output.width; column++, output += channels) {
            for (int i = 0; i < windows->pool_h * windows->pool_w; i++) {
                const int top = row * windows->step_h - windows->pad_top + i / windows->pool_w * windows->stride_h;
                const int left = column * windows->step_w - windows->pad_left + i % windows->pool_w * windows->stride_w;
                copy_patch(windows, input, top, left, patch);
                le_fully_connected_dsp(&layer->matrix, patch, scratch, outputs);
                if (i == 0) {
                    memcpy(output, outputs, channels);
                } else {
                    maximum(output, outputs, channels);
                }
            }
        }
    }
}
