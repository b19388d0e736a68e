/* ONNX Runtime's average pooling: real values in float32, added up window row by window row, divided by how many they are,
 * divided by the scale, plus the zero point, half to even (QLinearAveragePool,
 * onnxruntime/contrib_ops/cpu/quantization/qlinear_pool.cc). Each of these is rounded to float32. The power of two in the
 * scale is in all of them until the last division takes it out. */
#include "le_average_pool2d_float32.h"
#include "le_area.h"
#include "le_float32.h"

#define FRACTION 40 /* bits of a mean behind the point: one that has bits below these is below 2^-16 */

static int64_t sum_of(const le_windows *windows, const int8_t *input, le_area area, unsigned channel, uint32_t scale)
{
    int64_t sum = 0;
    for (int y = area.top; y < area.bottom; y++) {
        for (int x = area.left; x < area.right; x++) {
            const int16_t value = (int16_t)(le_value_at(windows, input, y, x, channel) - windows->padding_value);
            sum = le_float32_of(sum + le_float32_of((int64_t)value * scale));
        }
    }
    return sum;
}

/* sum / count / scale in fixed point, with what is lost as one more bit. */
static uint64_t steps_of(uint64_t sum, uint32_t count, uint32_t scale)
{
    const le_float32 mean = le_quotient24(sum, count), steps = le_quotient24(mean.magnitude, scale);
    const int16_t right = (int16_t)(mean.shift + steps.shift - FRACTION);
    if (right <= 0) {
        return steps.magnitude << -right;
    }
    return right > 62 ? steps.magnitude != 0
                      : (steps.magnitude >> right) | ((steps.magnitude & (((uint64_t)1 << right) - 1)) != 0);
}

void le_average_pool2d_float32_s8(LE_TABLE le_average_pool2d_float32 *layer, const int8_t *input, int8_t *output)
{
    const le_windows windows = layer->windows;
    const int64_t zero_point = windows.padding_value * ((int64_t)1 << FRACTION);
    for (uint16_t row = 0; row < windows.output.height; row++) {
        for (uint16_t column = 0; column < windows.output.width; column++) {
            const le_area area = le_area_at(&windows, row, column);
            const uint32_t count = (uint32_t)(area.bottom - area.top) * (uint32_t)(area.right - area.left);
            for (uint16_t c = 0; c < windows.output.channels; c++) {
                const int64_t sum = sum_of(&windows, input, area, c, layer->scale);
                const int64_t steps = (int64_t)steps_of((uint64_t)(sum < 0 ? -sum : sum), count, layer->scale);
                const int64_t total = le_float32_of(zero_point + (sum < 0 ? -steps : steps));
                *output++ = le_int8_half_even(total, FRACTION, 0, layer->clamp_min, layer->clamp_max);
            }
        }
    }
}
