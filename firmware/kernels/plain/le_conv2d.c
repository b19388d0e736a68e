/* Convolution by pooling window: all positions of a window are accumulated, their maximum is requantised once, and no
 * tensor from before the pooling exists. */
#include "le_windows.h"

/* A layer's sizes as the inner loops need them, in bytes. */
typedef struct {
    size_t taps;           /* of one row of the kernel: contiguous in weights and in inputs */
    size_t across, down;   /* from one position of the convolution to the next in its window */
    uint8_t rows;          /* of the kernel */
} le_taps;

static int32_t dot(LE_TABLE int8_t *weights, const int8_t *x, size_t row, const le_taps *by)
{
    int32_t sum = 0;
    for (uint8_t r = 0; r < by->rows; r++, x += row) {
        for (size_t i = 0; i < by->taps; i++) {
            sum += *weights++ * x[i];
        }
    }
    return sum;
}

static int32_t maximum(int32_t a, int32_t b) { return a > b ? a : b; }

/* The maximum of dot() over a window of 2 x 2: each weight is loaded once for four products. */
static int32_t maximum_of_four(LE_TABLE int8_t *weights, const int8_t *x, size_t row, const le_taps *by)
{
    int32_t s00 = 0, s01 = 0, s10 = 0, s11 = 0;
    const size_t across = by->across, down = by->down;
    for (uint8_t r = 0; r < by->rows; r++, x += row) {
        const int8_t *upper = x, *lower = x + down, *const end = x + by->taps;
        do {
            const int8_t w = *weights++;
            s00 += w * upper[0];
            s01 += w * upper[across];
            s10 += w * lower[0];
            s11 += w * lower[across];
            lower++;
        } while (++upper != end);
    }
    return maximum(maximum(s00, s01), maximum(s10, s11));
}

static int32_t maximum_of_window(LE_TABLE int8_t *weights, le_patch patch, const le_windows *windows, const le_taps *by)
{
    if (windows->pool_h == 2 && windows->pool_w == 2) {
        return maximum_of_four(weights, patch.start, patch.row, by);
    }
    int32_t largest = INT32_MIN;
    for (uint8_t y = 0; y < windows->pool_h; y++) {
        for (uint8_t x = 0; x < windows->pool_w; x++) {
            const int8_t *start = patch.start + y * by->down + x * by->across;
            largest = maximum(largest, dot(weights, start, patch.row, by));
        }
    }
    return largest;
}

void le_conv2d_s8(LE_TABLE le_conv2d *layer, const int8_t *input, int8_t *patch_buffer, int8_t *output)
{
    const le_windows windows = layer->windows;
    const uint16_t channels = layer->channels;
    const size_t inputs = windows.input.channels;
    le_taps by = {windows.window_w * inputs, windows.stride_w * inputs, 0, windows.window_h};
    for (uint16_t row = 0; row < windows.output.height; row++) {
        for (uint16_t column = 0; column < windows.output.width; column++) {
            const le_patch patch = le_patch_at_s8(&windows, input, row, column, patch_buffer);
            LE_TABLE int8_t *weights = layer->weights;
            by.down = windows.stride_h * patch.row;
            for (uint16_t c = 0; c < channels; c++, weights += by.rows * by.taps) {
                output[c] = le_requantize_s8(&layer->requantization, c, maximum_of_window(weights, patch, &windows, &by));
            }
            output += windows.output.channels;
        }
    }
}
