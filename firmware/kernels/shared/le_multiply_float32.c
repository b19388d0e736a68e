/* ONNX Runtime's QLinearMul: the product times a float32, rounded, plus the zero point, rounded, then half to even
 * (onnxruntime/core/mlas/lib/qlmul.cpp). The product has 17 bits, the multiplier 24. */
#include "le_elementwise_float32.h"
#include "le_float32.h"
#include "le_pairs.h"

static void products(const void *of, LE_TABLE int8_t *a, ptrdiff_t a_step, LE_TABLE int8_t *b, ptrdiff_t b_step,
                     int8_t *output, size_t count)
{
    const le_multiply_float32 *const by = (const le_multiply_float32 *)of;
    const int64_t zero_point = (int64_t)by->zero_point * ((int64_t)1 << by->shift);
    for (const int8_t *const end = output + count; output != end; a += a_step, b += b_step) {
        const int32_t product = (int32_t)(*a - by->zero_point_a) * (*b - by->zero_point_b);
        const int64_t scaled = le_float32_of((int64_t)product * by->multiplier);
        const int64_t steps = le_float32_of(scaled + zero_point);
        *output++ = le_int8_half_even(steps, by->shift, 0, by->clamp_min, by->clamp_max);
    }
}

void le_multiply_float32_s8(LE_TABLE le_multiply_float32 *layer, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output)
{
    const le_multiply_float32 by = *layer;
    le_each_run(&by.pairs, a, b, output, products, &by);
}
