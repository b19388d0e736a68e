#include "le_dilated.h"

/* The products of one tap; input: NULL where it is padding. */
static int32_t products(LE_TABLE int8_t *weights, const int8_t *input, const le_taps_dilated *by)
{
    int32_t sum = 0;
    if (input) {
        for (size_t i = 0; i < by->inputs; i++) {
            sum += *weights++ * input[i];
        }
    } else {
        for (size_t i = 0; i < by->inputs; i++) {
            sum += *weights++;
        }
        sum *= by->windows->padding_value;
    }
    return sum;
}

static int32_t dot(LE_TABLE int8_t *weights, const int8_t *input, int top, int left, const le_taps_dilated *by)
{
    const le_windows *const windows = by->windows;
    const int height = (int)windows->input.height, width = (int)windows->input.width;
    int32_t sum = 0;
    for (uint8_t r = 0; r < windows->window_h; r++) {
        const int y = top + r * by->dilation_h;
        for (uint8_t c = 0; c < windows->window_w; c++, weights += by->step) {
            const int x = left + c * by->dilation_w;
            const uint8_t is_inside = y >= 0 && y < height && x >= 0 && x < width;
            const size_t pixel = is_inside ? (size_t)y * windows->input.width + (size_t)x : 0;
            sum += products(weights, is_inside ? input + pixel * windows->input.channels : NULL, by);
        }
    }
    return sum;
}

int32_t le_maximum_dilated(LE_TABLE int8_t *weights, const int8_t *input, unsigned row, unsigned column,
                           const le_taps_dilated *by)
{
    const le_windows *const windows = by->windows;
    const int top = (int)(row * windows->step_h) - windows->pad_top;
    const int left = (int)(column * windows->step_w) - windows->pad_left;
    int32_t largest = INT32_MIN;
    for (uint8_t y = 0; y < windows->pool_h; y++) {
        for (uint8_t x = 0; x < windows->pool_w; x++) {
            const int32_t sum = dot(weights, input, top + y * windows->stride_h, left + x * windows->stride_w, by);
            largest = sum > largest ? sum : largest;
        }
    }
    return largest;
}
