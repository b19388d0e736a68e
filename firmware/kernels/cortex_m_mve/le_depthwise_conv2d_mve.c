/* Depthwise convolutions: at each position the list of the pixels that the window sees, of which those outside are one of
 * padding; then all channels at once. */
#include "le_mve.h"
#include "le_patches.h"

#include <arm_mve.h>

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

static void list_taps(const le_patches *layer, const int8_t *input, int top, int left)
{
    LE_TABLE le_windows *const windows = layer->windows;
    LE_TABLE le_mve_depthwise *const depthwise = (LE_TABLE le_mve_depthwise *)layer->matrix;
    const int8_t *const padding = layer->scratch + depthwise->padding_offset;
    const int height = windows->input.height, width = windows->input.width, channels = windows->input.channels;
    const int8_t **tap = (const int8_t **)(void *)layer->patch;
    const int8_t *line = input + (top * width + left) * channels;
    for (int y = top; y < top + windows->window_h; y++, line += width * channels) {
        const int8_t *pixel = line;
        for (int x = left; x < left + windows->window_w; x++, pixel += channels) {
            *tap++ = y >= 0 && y < height && x >= 0 && x < width ? pixel : padding;
        }
    }
}

static void multiply(const le_patches *layer, int8_t *output)
{
    LE_TABLE le_mve_depthwise *const depthwise = (LE_TABLE le_mve_depthwise *)layer->matrix;
    depthwise->multiply(&depthwise->taps, (const int8_t *const *)(const void *)layer->patch, output);
}

void le_depthwise_conv2d_mve_s8(LE_TABLE le_mve_depthwise *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const le_patches patches = {windows, layer, layer->taps.channels, scratch, scratch, scratch + layer->outputs_offset};
    fill(windows->padding_value, windows->input.channels, scratch + layer->padding_offset);
    le_patches_s8(&patches, input, output, multiply, list_taps, maximum);
}
