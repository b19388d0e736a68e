/* What the operators on two tensors share. */
#ifndef LE_PAIRS_H
#define LE_PAIRS_H

#include "le_tensors.h"

/* The outputs of `count` pairs of values, each pair a_step and b_step bytes behind the one before. */
typedef void le_run(const void *by, LE_TABLE int8_t *a, ptrdiff_t a_step, LE_TABLE int8_t *b, ptrdiff_t b_step,
                    int8_t *output, size_t count);

/* The operation on each pair of values, in the order of the output. */
void le_each_run(const le_pairs *pairs, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output, le_run *run,
                 const void *by);

/* Products with 2 * value are what most processors have the better instruction for; MVE's doubles them itself. */
#if defined(__ARM_FEATURE_MVE)
#define LE_UNIT 1
#else
#define LE_UNIT 2
#endif

/* value * multiplier * 2^(-31 - shift), rounded as le_scaled_s8 does it, for |value| < 2^28 and a shift to the right;
 * < 2^29 where the multiplier is 2^30.
 *
 * units: LE_UNIT * value; half: 2^shift / 2; away: -1, but 0 where the shift is 0. Half away from zero in the shift is (x + half -
 * (x < 0)) >> shift. The sign may be that of the value: where it is another, x is 0, and so is the result either way. */
static inline int32_t le_scaled_units(int32_t units, int32_t multiplier, int32_t half, int32_t away, uint8_t shift)
{
    const int32_t twice = units * (2 / LE_UNIT);
    const int32_t nudge = half + ((twice >> 31) & away);
#if defined(LE_SHORT_PRODUCTS) || defined(__AVR__) || (defined(__ARM_ARCH) && __ARM_ARCH_ISA_THUMB == 1)
    /* Without an instruction for products of 64 bits: value = v1 2^15 + v0, multiplier = m1 2^16 + m0, and each shift
     * drops what cannot reach the bits above any more. |v1| <= 2^13, so that no product or sum is beyond 2^31. */
    const int32_t v1 = twice >> 16, v0 = (uint16_t)twice >> 1, m1 = multiplier >> 16, m0 = (uint16_t)multiplier;
    return (v1 * m1 + ((v0 * m1 + ((v1 * m0 + ((v0 * m0) >> 15) + 0x8000) >> 1)) >> 15) + nudge) >> shift;
#elif defined(__ARM_FEATURE_DSP)
    int32_t high; /* (twice * multiplier + 2^31) >> 32, plus nudge */
    __asm__("smmlar %0, %1, %2, %3" : "=r"(high) : "r"(twice), "r"(multiplier), "r"(nudge));
    return high >> shift;
#else
    return ((int32_t)(((int64_t)twice * multiplier + ((int64_t)1 << 31)) >> 32) + nudge) >> shift;
#endif
}

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>

/* The same of four values, for a shift that is not 0. It rounds half up, in more than 32 bits. */
static inline int32x4_t le_scaled_mve(int32x4_t values, int32_t multiplier, uint8_t shift)
{
    const int32x4_t high = vqrdmulhq_n_s32(values, multiplier);
    return vrshlq_n_s32(vaddq_s32(high, vshrq_n_s32(values, 31)), -shift);
}

static inline int32x4_t le_clamped_mve(int32x4_t values, const int32_t clamp[2])
{
    return vminq_s32(vmaxq_s32(values, vdupq_n_s32(clamp[0])), vdupq_n_s32(clamp[1]));
}
#endif

static inline int8_t le_clamped(int32_t value, const int32_t clamp[2])
{
    if (value < clamp[0]) {
        value = clamp[0];
    }
    if (value > clamp[1]) {
        value = clamp[1];
    }
    return (int8_t)value;
}

#endif
