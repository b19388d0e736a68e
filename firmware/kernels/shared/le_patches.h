/* A convolution as a matrix times vector at each position: any window, stride and pooling. It is what a family does where
 * its other kernels do not apply. The maximum over a pooling window is taken of the outputs: requantisation is monotone.
 *
 * All of it is inline, so that a family's functions are called directly, or are inlined themselves. */
#ifndef LE_PATCHES_H
#define LE_PATCHES_H

#include "le_kernels.h"

#include <string.h>

/* The matrix, its number of outputs, and in scratch: what it needs, the patch, the outputs of one position. */
typedef struct {
    LE_TABLE le_windows *windows;
    LE_TABLE void *matrix;
    uint16_t channels;
    int8_t *scratch, *patch, *outputs;
} le_patches;

/* The outputs of one position; the inputs that it sees, of which (top, left) may lie outside; of[i] = max(of[i], with[i]). */
typedef void le_multiply_patch(const le_patches *layer, int8_t *output);
typedef void le_copy_patch(const le_patches *layer, const int8_t *input, int top, int left);
typedef void le_maximum_of(int8_t *of, const int8_t *with, uint16_t count);

static inline void le_copy_patch_s8(const le_patches *layer, const int8_t *input, int top, int left)
{
    LE_TABLE le_windows *const windows = layer->windows;
    const int height = (int)windows->input.height, width = (int)windows->input.width;
    const size_t channels = windows->input.channels;
    int8_t *patch = layer->patch;
    for (int y = top; y < top + windows->window_h; y++) {
        for (int x = left; x < left + windows->window_w; x++, patch += channels) {
            if (y >= 0 && y < height && x >= 0 && x < width) {
                memcpy(patch, input + ((size_t)y * windows->input.width + (size_t)x) * channels, channels);
            } else {
                memset(patch, windows->padding_value, channels);
            }
        }
    }
}

static inline void le_maximum_of_s8(int8_t *of, const int8_t *with, uint16_t count)
{
    for (; count != 0; count--, of++, with++) {
        *of = *with > *of ? *with : *of;
    }
}

/* output: the first of the layer's channels, of windows.output.channels. */
static inline void le_patches_s8(const le_patches *layer, const int8_t *input, int8_t *output, le_multiply_patch *multiply,
                                 le_copy_patch *copy, le_maximum_of *maximum)
{
    LE_TABLE le_windows *const windows = layer->windows;
    const size_t channels = windows->output.channels;
    for (int row = 0; row < (int)windows->output.height; row++) {
        for (int column = 0; column < (int)windows->output.width; column++, output += channels) {
            for (uint8_t y = 0; y < windows->pool_h; y++) {
                const int top = row * windows->step_h - windows->pad_top + y * windows->stride_h;
                for (uint8_t x = 0; x < windows->pool_w; x++) {
                    const int left = column * windows->step_w - windows->pad_left + x * windows->stride_w;
                    const uint8_t is_first = x == 0 && y == 0;
                    copy(layer, input, top, left);
                    multiply(layer, is_first ? output : layer->outputs);
                    if (!is_first) {
                        maximum(output, layer->outputs, layer->channels);
                    }
                }
            }
        }
    }
}

#endif
