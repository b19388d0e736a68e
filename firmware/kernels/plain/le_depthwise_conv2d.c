/* Convolution of each input channel by itself; like le_conv2d.c it requantises the maximum over the pooling window. */
#include "le_windows.h"

/* One position and channel; `channels` is the step from one weight of the channel to the next. */
static LE_NOINLINE int32_t dot(LE_TABLE int8_t *weights, size_t channels, const int8_t *x, size_t row, const le_windows *windows)
{
    int32_t sum = 0;
    for (uint_fast8_t rows = windows->window_h; rows != 0; rows--, x += row) {
        const int8_t *tap = x;
        for (uint_fast8_t left = windows->window_w; left != 0; left--, tap += windows->input.channels, weights += channels) {
            sum += *weights * *tap;
        }
    }
    return sum;
}

static int32_t maximum_of_window(LE_TABLE int8_t *weights, size_t channels, const int8_t *x, size_t row,
                                 const le_windows *windows)
{
    int32_t largest = INT32_MIN;
    for (uint_fast8_t py = windows->pool_h; py != 0; py--, x += windows->stride_h * row) {
        const int8_t *at = x;
        for (uint_fast8_t px = windows->pool_w; px != 0; px--, at += windows->stride_w * windows->input.channels) {
            const int32_t sum = dot(weights, channels, at, row, windows);
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
            const int8_t *x = patch.start;
            for (uint16_t c = 0, last = multiplier; c < channels; c++) {
                if (c == last) {
                    last = (uint16_t)(last + multiplier);
                    x++;
                }
                const int32_t sum = maximum_of_window(layer->weights + c, channels, x, patch.row, &windows);
                *output++ = le_requantize_s8(&layer->requantization, c, sum);
            }
        }
    }
}
