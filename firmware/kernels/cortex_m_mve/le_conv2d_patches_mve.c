/* Convolutions that the other kernels do not take, with vectors of 16 for what moves. */
#include "le_bytes_mve.h"
#include "le_mve.h"
#include "le_patches.h"

static void maximum(int8_t *of, const int8_t *with, uint16_t count) { le_maximum_mve_s8(of, with, count); }

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
            le_fill_mve_s8(windows->padding_value, bytes, patch);
        }
        if (is_inside) {
            const int8_t *const from = input + ((size_t)y * windows->input.width + (size_t)begin) * channels;
            le_copy_mve_s8(from, (size_t)(end - begin) * channels, patch + (size_t)(begin - left) * channels);
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
