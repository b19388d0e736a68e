/* Requantisation of any layer as runtimes do it that use float32: the accumulator becomes a float32, is multiplied by a
 * float32, and the product goes to the nearest integer, half to even (MlasRequantizeOutput of ONNX Runtime,
 * core/mlas/lib/quantize.cpp; src/qs8-requantization/fp32.c of XNNPACK). Three roundings, each of them here in integers.
 *
 * The float32 is multiplier * 2^-shift, multiplier < 2^24. An accumulator has at most 31 bits, so that no product is beyond
 * 2^55; with a shift of 57 the result is 0 whatever the accumulator, and larger ones are stored as that. bias is folded
 * as for any layer. */
#include "le_float32.h"

int8_t le_requantize_s8(LE_TABLE le_requantization *to, size_t channel, int32_t accumulator)
{
    const int64_t sum = le_float32_of(accumulator + to->bias[channel]);
    const int64_t product = le_float32_of(sum * (int64_t)to->multiplier[channel]);
    return le_int8_half_even(product, (uint8_t)to->shift[channel], to->zero_point, to->clamp_min, to->clamp_max);
}
