/* Convolutions that the other kernels do not take, with vectors of 16 for what moves. */
#include "le_mve.h"
#include "le_patches.h"

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

static void maximum(int8_t *of, const int8_t *with, uint16_t count)
{
    for (size_t i = 0; i < count; i += 16) {
        const mve_pred16_t inside = vctp8q((uint32_t)(count - i));
        const int8x16_t a = vldrbq_z_s8(of + i, inside), b = vldrbq_z_s8(with + i, inside);
        vstrbq_p_s8(of + i, vmaxq_s8(a, b), inside);
    }
}

static void copy_patch(const le_patches *layer, const int8_t *input, int top, int left)
{
    LE_TABLE le_windows *const windows = layer->windows;
    const int height = windows->input.height, width = windows->input.width;
    const size_t channels = windows->input.channels, bytes = windows->window_w * channels;
    const int begin = left < 0 ? 0 : left;
    const int end = left + windows->window_w > width ? width : left + windows->window_w;
    int8_t *patch = layer->patch;
    for (int y = top; y < top + windows->window_h; y++, patch += bytes) {
        const int is_inside = y >= 0 && y < height && begin < end;
        if (!is_inside || end - begin < windows->window_w) {
            fill(windows->padding_value, bytes, patch);
        }
        if (is_inside) {
            const int8_t *const from = input + ((size_t)y * windows->input.width + (size_t)begin) * channels;
            copy(from, (size_t)(end - begin) * channels, patch + (size_t)(begin - left) * channels);
        }
    }
}

static void multiply(const le_patches *layer, int8_t *output)
{
    le_fully_connected_mve_s8((LE_TABLE le_mve_matrix *)layer->matrix, layer->patch, output);
}

void le_conv2d_patches_mve_s8(LE_TABLE le_mve_patches *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const le_patches patches = {&layer->windows, &layer->matrix, layer->matrix.outputs,
                                scratch,         scratch,        scratch + layer->outputs_offset};
    le_patches_s8(&patches, input, output, multiply, copy_patch, maximum);
}
