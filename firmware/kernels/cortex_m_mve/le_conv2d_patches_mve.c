/* A convolution as a matrix times vector at each position, for what the other kernels do not take. The maximum over a
 * pooling window is taken of the outputs: requantisation is monotone. */
#include "le_mve.h"

#include <arm_mve.h>

static void copy(const int8_t *from, size_t count, int8_t *to)
{
    for (size_t i = 0; i < count; i += 16) {
        const mve_pred16_t inside = vctp8q((uint32_t)(count - i));
        vstrbq_p_s8(to + i, vldrbq_z_s8(from + i, inside), inside);
    }
}

static void fill(int8_t value, size_t count, int8_t *to)
{
    for (size_t i = 0; i < count; i += 16) {
        vstrbq_p_s8(to + i, vdupq_n_s8(value), vctp8q((uint32_t)(count - i)));
    }
}

static void maximum(int8_t *of, const int8_t *with, size_t count)
{
    for (size_t i = 0; i < count; i += 16) {
        const mve_pred16_t inside = vctp8q((uint32_t)(count - i));
        const int8x16_t a = vldrbq_z_s8(of + i, inside), b = vldrbq_z_s8(with + i, inside);
        vstrbq_p_s8(of + i, vmaxq_s8(a, b), inside);
    }
}

/* The inputs that one position sees; (top, left) may lie outside. */
static void copy_patch(LE_TABLE le_windows *windows, const int8_t *input, int top, int left, int8_t *patch)
{
    const int height = windows->input.height, width = windows->input.width;
    const size_t channels = windows->input.channels, bytes = windows->kernel_w * channels;
    const int begin = left < 0 ? 0 : left;
    const int end = left + windows->kernel_w > width ? width : left + windows->kernel_w;
    for (int y = top; y < top + windows->kernel_h; y++, patch += bytes) {
        const int is_inside = y >= 0 && y < height && begin < end;
        if (!is_inside || end - begin < windows->kernel_w) {
            fill(windows->padding_value, bytes, patch);
        }
        if (is_inside) {
            const int8_t *const from = input + ((size_t)y * windows->input.width + (size_t)begin) * channels;
            copy(from, (size_t)(end - begin) * channels, patch + (size_t)(begin - left) * channels);
        }
    }
}

void le_conv2d_patches_mve(LE_TABLE le_mve_patches *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    int8_t *const outputs = scratch + layer->outputs_offset;
    const uint16_t channels = layer->matrix.outputs;
    for (int row = 0; row < windows->output.height; row++) {
        for (int column = 0; column < windows->output.width; column++, output += channels) {
            for (int i = 0; i < windows->pool_h * windows->pool_w; i++) {
                const int top = row * windows->step_h - windows->pad_top + i / windows->pool_w * windows->stride_h;
                const int left = column * windows->step_w - windows->pad_left + i % windows->pool_w * windows->stride_w;
                copy_patch(windows, input, top, left, scratch);
                le_fully_connected_mve(&layer->matrix, scratch, i == 0 ? output : outputs);
                if (i != 0) {
                    maximum(output, outputs, channels);
                }
            }
        }
    }
}
