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
    /* Shifted to the left it fits, or the model would have been refused (quantized/verify.py). */
    const int32_t shifted = (accumulator + to->bias[channel]) * ((int32_t)1 << left);
    const int32_t high = (int32_t)(((int64_t)shifted * (int32_t)to->multiplier[channel] + ((int64_t)1 << 30)) >> 31);

    const int32_t mask = (int32_t)(((uint32_t)1 << right) - 1);
    const int32_t threshold = (mask >> 1) + (high < 0);
    const int32_t result = (high >> right) + ((high & mask) > threshold);
    const int16_t low = (int16_t)(to->clamp_min - to->zero_point), top = (int16_t)(to->clamp_max - to->zero_point);
    return (int8_t)((result < low ? low : result > top ? top : (int16_t)result) + to->zero_point);
}
