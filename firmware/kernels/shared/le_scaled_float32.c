/* Scaling as ONNX Runtime's GlobalAveragePool does it: le_requantize_float32.c for the sum of a mean
 * (MlasQLinearGlobalAveragePoolNchw, onnxruntime/core/mlas/lib/qlgavgpool.cpp). It stands in for le_scaled.c: the factor is
 * multiplier * 2^-shift, a float32, with the shift to the right. */
#include "le_float32.h"
#include "le_tensors.h"

int8_t le_scaled_s8(int32_t value, const le_scaling *to)
{
    const int64_t product = le_float32_of(le_float32_of(value) * to->factor.multiplier);
    return le_int8_half_even(product, (uint8_t)to->factor.shift, to->zero_point, to->clamp_min, to->clamp_max);
}
