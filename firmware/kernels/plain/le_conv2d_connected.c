#include "le_connected.h"
#include "le_windows.h"

/* A layer's sizes as the inner loops need them, in bytes. */
typedef struct {
    size_t inputs, across; /* from one tap of a map to the next, and beyond the last of a row */
    uint8_t rows;          /* of the kernel */
} le_taps;

/* The sum of products of one channel at one position, map by map. A function of its own: it needs all registers. */
static LE_NOINLINE int32_t dot(LE_TABLE int8_t *weights, LE_TABLE uint8_t *seen, le_patch patch, const le_taps *by)
{
    const size_t inputs = by->inputs, across = by->across;
    int32_t sum = 0;
    for (uint8_t left = *seen; left != 0; left--) {
        const int8_t *row = patch.start + *++seen;
        for (uint8_t r = by->rows; r != 0; r--, row += patch.row) {
            const int8_t *x = row, *const end = row + across;
            do {
                sum += *weights++ * *x;
                x += inputs;
            } while (x != end);
        }
    }
    return sum;
}

static int32_t maximum_of_window(LE_TABLE int8_t *weights, LE_TABLE uint8_t *seen, le_patch patch,
                                 const le_windows *windows, const le_taps *by)
{
    int32_t largest = INT32_MIN;
    for (uint8_t y = 0; y < windows->pool_h; y++) {
        for (uint8_t x = 0; x < windows->pool_w; x++) {
            const size_t down = y * windows->stride_h * patch.row, aside = x * windows->stride_w * by->inputs;
            const le_patch here = {patch.start + down + aside, patch.row};
            const int32_t sum = dot(weights, seen, here, by);
            largest = sum > largest ? sum : largest;
        }
    }
    return largest;
}

void le_conv2d_connected_s8(LE_TABLE le_conv2d_connected *layer, const int8_t *input, int8_t *patch_buffer,
                            int8_t *output)
{
    const le_windows windows = layer->windows;
    const size_t inputs = windows.input.channels, taps = (size_t)windows.window_h * windows.window_w;
    const le_taps by = {inputs, windows.window_w * inputs, windows.window_h};
    for (uint16_t row = 0; row < windows.output.height; row++) {
        for (uint16_t column = 0; column < windows.output.width; column++) {
            const le_patch patch = le_patch_at_s8(&windows, input, row, column, patch_buffer);
            LE_TABLE int8_t *weights = layer->weights;
            LE_TABLE uint8_t *seen = layer->connections;
            for (uint16_t c = 0; c < layer->channels; c++) {
                const int32_t sum = maximum_of_window(weights, seen, patch, &windows, &by);
                output[c] = le_requantize_s8(&layer->requantization, c, sum);
                weights += *seen * taps;
                seen += *seen + 1;
            }
            output += windows.output.channels;
        }
    }
}
