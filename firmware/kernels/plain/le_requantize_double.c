/* Requantisation of any other layer, as TFLM does it: rounding twice, half up in the product with the Q0.31 multiplier,
 * then half away from zero in the shift (SaturatingRoundingDoublingHighMul and RoundingDivideByPOT of gemmlowp's
 * fixedpoint.h; tensorflow/lite/kernels/internal/common.h). shift is left positive; bias is folded as for any layer. */
#include "le_kernels.h"

#if (-1 >> 1) != -1
#error "a right shift of negative numbers is expected to round down, as every compiler we know of has it"
#endif

int8_t le_requantize_s8(LE_TABLE le_requantization *to, size_t channel, int32_t accumulator)
{
    const int8_t shift = to->shift[channel];
    const uint8_t right = (uint8_t)(shift < 0 ? -shift : 0), left = (uint8_t)(shift > 0 ? shift : 0);
    const int64_t shifted = (int64_t)(accumulator + to->bias[channel]) * ((int64_t)1 << left);
    const int64_t high = (shifted * (int32_t)to->multiplier[channel] + ((int64_t)1 << 30)) >> 31;

    const int64_t mask = ((int64_t)1 << right) - 1;
    const int64_t threshold = (mask >> 1) + (high < 0);
    const int64_t result = (high >> right) + ((high & mask) > threshold) + to->zero_point;
    if (result < to->clamp_min) {
        return to->clamp_min;
    }
    return result > to->clamp_max ? to->clamp_max : (int8_t)result;
}
