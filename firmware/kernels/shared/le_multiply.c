/* Products of values, as TFLM computes them (MulElementwise, reference/integer_ops/mul.h below
 * tensorflow/lite/kernels/internal). They stay below 2^16, and a shift to the left, of 1 at most, below 2^17
 * (docs/explanation/rounding-rules.md, "Why no sum or product overflows"). */
#include "le_pairs.h"

typedef struct {
    int32_t zero_point_a, zero_point_b, unit, multiplier, half, away, zero_point, clamp[2];
    uint8_t shift;
} le_product;

static void products(const void *of, LE_TABLE int8_t *a, ptrdiff_t a_step, LE_TABLE int8_t *b, ptrdiff_t b_step,
                     int8_t *output, size_t count)
{
    const le_product by = *(const le_product *)of;
    for (const int8_t *const end = output + count; output != end; a += a_step, b += b_step) {
        const int32_t units = (*a - by.zero_point_a) * (*b - by.zero_point_b) * by.unit;
        const int32_t product = le_scaled_units(units, by.multiplier, by.half, by.away, by.shift);
        *output++ = le_clamped(product + by.zero_point, by.clamp);
    }
}

void le_multiply_s8(LE_TABLE le_multiply *layer, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output)
{
    const le_multiply by = *layer;
    const int8_t shift = by.to.factor.shift;
    const uint8_t right = (uint8_t)(shift < 0 ? -shift : 0);
    const le_product product = {
        by.zero_point_a, by.zero_point_b, shift > 0 ? 2 * LE_UNIT : LE_UNIT,
        by.to.factor.multiplier, (int32_t)((uint32_t)1 << right >> 1), right ? -1 : 0,
        by.to.zero_point, {by.to.clamp_min, by.to.clamp_max}, right,
    };
    le_each_run(&by.pairs, a, b, output, products, &product);
}
