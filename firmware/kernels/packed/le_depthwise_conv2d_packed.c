/* The inputs of a channel are first laid side by side, so that the sums read them as those of a convolution of one
 * channel: a digit is then taken out in the same way, whatever lies between two inputs. */
#include "le_packed_window.h"

/* One channel of a patch: patch_h * patch_w bytes. */
static void gather(const le_windows *windows, const int8_t *x, size_t row, int8_t *to)
{
    for (uint8_t y = 0; y < windows->patch_h; y++, x += row) {
        const int8_t *at = x;
        for (uint8_t i = 0; i < windows->patch_w; i++, at += windows->input.channels) {
            *to++ = *at;
        }
    }
}

void le_depthwise_conv2d_packed_s8(LE_TABLE le_depthwise_conv2d_packed *layer, const int8_t *input, int8_t *scratch,
                                   int8_t *output)
{
    LE_TABLE le_conv2d_packed *convolution = &layer->convolution;
    const le_windows windows = convolution->windows;
    const uint16_t channels = convolution->channels, multiplier = layer->multiplier;
    int8_t *const patch_buffer = scratch + (size_t)windows.patch_h * windows.patch_w;
    const le_taps_packed by = {windows.window_w, windows.patch_w, windows.stride_w,
                               (size_t)windows.stride_h * windows.patch_w, windows.window_h};
    for (uint16_t row = 0; row < windows.output.height; row++) {
        for (uint16_t column = 0; column < windows.output.width; column++) {
            const le_patch patch = le_patch_at_s8(&windows, input, row, column, patch_buffer);
            LE_TABLE uint8_t *weights = convolution->weights;
            const int8_t *x = patch.start;
            uint16_t left = 0; /* outputs of the channel that was gathered last */
            for (uint16_t c = 0; c < channels; c++, left--, weights += convolution->row_bytes) {
                if (!left) {
                    gather(&windows, x++, patch.row, scratch);
                    left = multiplier;
                }
                const int32_t sum = le_maximum_of_window(convolution, weights, scratch, &by);
                *output++ = le_requantize_s8(&convolution->requantization, c, 2 * sum);
            }
        }
    }
}
