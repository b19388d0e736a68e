/* Pooling by itself, for a pooling that no convolution has taken in. A window that hangs over the edge counts only what
 * lies inside. */
#include "le_area.h"

static int32_t largest_in(const le_windows *windows, const int8_t *input, le_area area, unsigned channel)
{
    int32_t largest = -128;
    for (int y = area.top; y < area.bottom; y++) {
        for (int x = area.left; x < area.right; x++) {
            const int8_t value = le_value_at(windows, input, y, x, channel);
            largest = value > largest ? value : largest;
        }
    }
    return largest;
}

/* Rounded half away from zero (AveragePool, tensorflow/lite/kernels/internal/reference/integer_ops/pooling.h). */
static int32_t mean_of(const le_windows *windows, const int8_t *input, le_area area, unsigned channel)
{
    const int32_t count = (int32_t)(area.bottom - area.top) * (area.right - area.left);
    int32_t sum = 0;
    for (int y = area.top; y < area.bottom; y++) {
        for (int x = area.left; x < area.right; x++) {
            sum += le_value_at(windows, input, y, x, channel);
        }
    }
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
}

static void pool(LE_TABLE le_pool2d *layer, const int8_t *input, int8_t *output,
                 int32_t (*of)(const le_windows *, const int8_t *, le_area, unsigned))
{
    const le_windows windows = layer->windows;
    for (uint16_t row = 0; row < windows.output.height; row++) {
        for (uint16_t column = 0; column < windows.output.width; column++) {
            const le_area area = le_area_at(&windows, row, column);
            for (uint16_t c = 0; c < windows.output.channels; c++) {
                int32_t value = of(&windows, input, area, c);
                value = value < layer->clamp_min ? layer->clamp_min : value;
                *output++ = (int8_t)(value > layer->clamp_max ? layer->clamp_max : value);
            }
        }
    }
}

void le_max_pool2d_s8(LE_TABLE le_pool2d *layer, const int8_t *input, int8_t *output)
{
    pool(layer, input, output, largest_in);
}

void le_average_pool2d_s8(LE_TABLE le_pool2d *layer, const int8_t *input, int8_t *output)
{
    pool(layer, input, output, mean_of);
}
