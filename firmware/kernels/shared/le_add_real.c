/* A sum or difference of real values in float32, as ONNX Runtime computes it between DequantizeLinear and QuantizeLinear:
 * both products are rounded, then their sum, then its quotient by the output's scale; half to even before the zero point. */
#include "le_elementwise_float32.h"
#include "le_float32.h"
#include "le_pairs.h"

static void sums(const void *of, LE_TABLE int8_t *a, ptrdiff_t a_step, LE_TABLE int8_t *b, ptrdiff_t b_step,
                 int8_t *output, size_t count)
{
    const le_add_real *const by = (const le_add_real *)of;
    for (const int8_t *const end = output + count; output != end; a += a_step, b += b_step) {
        const int64_t first = le_float32_of((*a - by->zero_point_a) * by->by_a);
        const int64_t second = le_float32_of((*b - by->zero_point_b) * by->by_b);
        const int64_t sum = le_float32_of(first + second);
        const le_float32 steps = le_quotient24((uint64_t)(sum < 0 ? -sum : sum), by->divisor);
        const int16_t shift = (int16_t)(steps.shift + by->shift); /* 62 and more give 0, and below 0 it is beyond any clamp */
        const int64_t magnitude = shift > 62 ? 0 : (int64_t)steps.magnitude;
        *output++ = le_int8_half_even(sum < 0 ? -magnitude : magnitude, (uint8_t)(shift < 0 || shift > 62 ? 0 : shift),
                                      by->zero_point, by->clamp_min, by->clamp_max);
    }
}

void le_add_real_s8(LE_TABLE le_add_real *layer, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output)
{
    const le_add_real by = *layer;
    le_each_run(&by.pairs, a, b, output, sums, &by);
}
