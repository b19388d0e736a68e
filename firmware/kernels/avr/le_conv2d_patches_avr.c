/* A convolution as a matrix times vector at each position, for what the tiles do not take. The maximum over a pooling
 * window is taken of the outputs: requantisation is monotone. */
#include "le_avr.h"

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
    const int height = (int)windows->input.height, width = (int)windows->input.width;
    const size_t channels = windows->input.channels;
    const int bottom = top + windows->kernel_h, right = left + windows->kernel_w;
    for (int y = top; y < bottom; y++) {
        for (int x = left; x < right; x++, patch += channels) {
            if (y >= 0 && y < height && x >= 0 && x < width) {
                memcpy(patch, input + ((size_t)y * (size_t)width + (size_t)x) * channels, channels);
            } else {
                memset(patch, windows->padding_value, channels);
            }
        }
    }
}

void le_conv2d_patches_avr(LE_TABLE le_patches_avr *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const uint16_t channels = layer->matrix.outputs;
    int8_t *const patch = scratch + LE_AVR_PADDED(layer->matrix.inputs);
    int8_t *const outputs = patch + LE_AVR_PADDED(layer->matrix.inputs);
    for (uint16_t row = 0; row < windows->output.height; row++) {
        for (uint16_t column = 0; column < windows->output.width; column++, output += windows->output.channels) {
            int top = (int)(row * windows->step_h) - windows->pad_top;
            for (uint8_t y = 0; y < windows->pool_h; y++, top += windows->stride_h) {
                int left = (int)(column * windows->step_w) - windows->pad_left;
                for (uint8_t x = 0; x < windows->pool_w; x++, left += windows->stride_w) {
                    const uint8_t is_first = x == 0 && y == 0;
                    copy_patch(windows, input, top, left, patch);
                    le_fully_connected_avr(&layer->matrix, patch, scratch, is_first ? output : outputs);
                    if (!is_first) {
                        maximum(output, outputs, channels);
                    }
                }
            }
        }
    }
}
