/* Sums and differences, as TFLM computes them (AddElementwise, reference/integer_ops/add.h; Sub, reference/sub.h: below
 * tensorflow/lite/kernels/internal): each operand d, less its zero point, becomes d 2^20 M with M = s / (2 s_max).
 *
 * Of the wide operand, with the larger scale, M is 1/2 and that is d 2^19. The narrow one is scaled, by 1/2 as well where
 * the scales are equal. Neither is beyond 2^27; the sum and what is scaled are below 2^28, and no shift is to the left
 * (docs/explanation/rounding-rules.md, "Why no sum or product overflows"). That of the sum is 11 and more to the right (1
 * where the multiplier is 0). Where the narrow one's is 1/2, twice the value is scaled and shifted by 1 more: the product is
 * even, and nothing is rounded. */
#include "le_pairs.h"

#if (-1 >> 1) != -1
#error "a right shift of negative numbers is expected to round down, as every compiler we know of has it"
#endif

typedef struct {
    int32_t wide, wide_bias, narrow, narrow_bias, multiplier, half, sign, to_multiplier, to_half;
    int32_t zero_point, clamp[2];
    uint8_t shift, to_shift;
} le_sum;

static void sums(const void *of, LE_TABLE int8_t *a, ptrdiff_t a_step, LE_TABLE int8_t *b, ptrdiff_t b_step,
                 int8_t *output, size_t count)
{
    const le_sum by = *(const le_sum *)of;
#if defined(__ARM_FEATURE_MVE)
    for (; count >= 4 && a_step == b_step; count -= 4, a += 4, b += 4, output += 4) { /* both are 1: one of two always is */
        int32x4_t narrow = vmulq_n_s32(vldrbq_s32(b), by.narrow), sum = vmulq_n_s32(vldrbq_s32(a), by.wide);
        narrow = le_scaled_mve(vaddq_n_s32(narrow, by.narrow_bias), by.multiplier, by.shift);
        sum = vmlaq_n_s32(vaddq_n_s32(sum, by.wide_bias), narrow, by.sign);
        sum = le_scaled_mve(sum, by.to_multiplier, by.to_shift);
        vstrbq_s32(output, le_clamped_mve(vaddq_n_s32(sum, by.zero_point), by.clamp));
    }
#endif
    for (const int8_t *const end = output + count; output != end; a += a_step, b += b_step) {
        const int32_t narrow = *b * by.narrow + by.narrow_bias, wide = *a * by.wide + by.wide_bias;
        const int32_t both = wide + by.sign * le_scaled_units(narrow, by.multiplier, by.half, -1, by.shift);
        const int32_t sum = le_scaled_units(both, by.to_multiplier, by.to_half, -1, by.to_shift);
        *output++ = le_clamped(sum + by.zero_point, by.clamp);
    }
}

void le_add_s8(LE_TABLE le_add *layer, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output)
{
    const le_add by = *layer;
    const uint8_t right = (uint8_t)-by.factor.shift, to_right = (uint8_t)-by.to.factor.shift;
    const int32_t wide = by.wide * ((int32_t)LE_UNIT << 19), narrow = (int32_t)LE_UNIT << by.left;
    const le_sum sum = {
        wide, -by.zero_point_a * wide, narrow, -by.zero_point_b * narrow,
        by.factor.multiplier, (int32_t)1 << (right - 1), LE_UNIT * by.narrow,
        by.to.factor.multiplier, (int32_t)1 << (to_right - 1),
        by.to.zero_point, {by.to.clamp_min, by.to.clamp_max}, right, to_right,
    };
    le_each_run(&by.pairs, a, b, output, sums, &sum);
}
