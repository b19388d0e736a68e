/* Convolution of each input channel by itself; like le_conv2d.c it requantises the maximum over the pooling window. */
#include "le_windows.h"

/* One position and channel; `channels` is the step from one weight of the channel to the next. */
static int32_t dot(LE_TABLE int8_t *weights, size_t channels, const int8_t *x, size_t row, const le_windows *windows)
{
    int32_t sum = 0;
    for (uint8_t r = 0; r < windows->window_h; r++, x += row) {
        const int8_t *tap = x;
        for (uint8_t i = 0; i < windows->window_w; i++, tap += windows->input.channels, weights += channels) {
            sum += *weights * *tap;
        }
    }
    return sum;
}

static int32_t maximum_of_window(LE_TABLE int8_t *weights, size_t channels, const int8_t *x, size_t row,
                                 const le_windows *windows)
{
    int32_t largest = INT32_MIN;
    for (uint8_t py = 0; py < windows->pool_h; py++, x += windows->stride_h * row) {
        for (uint8_t px = 0; px < windows->pool_w; px++) {
            const int8_t *start = x + (size_t)px * windows->stride_w * windows->input.channels;
            const int32_t sum = dot(weights, channels, start, row, windows);
            largest = sum > largest ? sum : largest;
        }
    }
    return largest;
}

void le_depthwise_conv2d_s8(LE_TABLE le_depthwise_conv2d *layer, const int8_t *input, int8_t *patch_buffer,
                            int8_t *output)
{
    const le_windows windows = layer->windows;
    const uint16_t channels = layer->channels, multiplier = layer->multiplier;
    for (uint16_t row = 0; row < windows.output.height; row++) {
        for (uint16_t column = 0; column < windows.output.width; column++) {
            const le_patch patch = le_patch_at_s8(&windows, input, row, column, patch_buffer);
            for (uint16_t c = 0; c < channels; c++) {
                const int8_t *x = patch.start + c / multiplier;
                const int32_t sum = maximum_of_window(layer->weights + c, channels, x, patch.row, &windows);
                *output++ = le_requantize_s8(&layer->requantization, c, sum);
            }
        }
    }
}
