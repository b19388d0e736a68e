/* Scaling as TFLM does it, and as le_requantize_double.c has it for layers with weights: rounding twice, half up in the
 * product with the Q0.31 multiplier, then half away from zero in the shift (MultiplyByQuantizedMultiplier,
 * tensorflow/lite/kernels/internal/common.h). */
#include "le_tensors.h"

#if (-1 >> 1) != -1
#error "a right shift of negative numbers is expected to round down, as every compiler we know of has it"
#endif

/* The product of value and 2^shift fits an int32, or the model would have been refused (quantized/operand_checks.py). */
static int32_t scaled_by(int32_t value, le_factor by)
{
    const uint8_t right = (uint8_t)(by.shift < 0 ? -by.shift : 0), left = (uint8_t)(by.shift > 0 ? by.shift : 0);
    const int64_t product = (int64_t)(value * ((int32_t)1 << left)) * by.multiplier;
    const int32_t high = (int32_t)((product + ((int64_t)1 << 30)) >> 31);

    const int32_t mask = (int32_t)(((uint32_t)1 << right) - 1);
    const int32_t threshold = (mask >> 1) + (high < 0);
    return (high >> right) + ((high & mask) > threshold);
}

int8_t le_scaled_s8(int32_t value, const le_scaling *to)
{
    const int32_t scaled = scaled_by(value, to->factor);
    /* The zero point is added where it cannot overflow. */
    if (scaled < (int32_t)to->clamp_min - to->zero_point) {
        return to->clamp_min;
    }
    return scaled > (int32_t)to->clamp_max - to->zero_point ? to->clamp_max : (int8_t)(scaled + to->zero_point);
}
