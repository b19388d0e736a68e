#include "le_kernels.h"

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>

void le_clamp_s8(int8_t *values, size_t count, int8_t low, int8_t high)
{
    for (size_t i = 0; i < count; i += 16) {
        const mve_pred16_t inside = vctp8q((uint32_t)(count - i));
        const int8x16_t above = vmaxq_s8(vldrbq_z_s8(values + i, inside), vdupq_n_s8(low));
        vstrbq_p_s8(values + i, vminq_s8(above, vdupq_n_s8(high)), inside);
    }
}

#else

#if defined(__ARM_FEATURE_DSP)
/* Four at once: SSUB8 notes for each byte whether a >= b, and SEL takes a where it is. */
static size_t clamp_fours(int8_t *values, size_t count, int8_t low, int8_t high)
{
    const uint32_t lows = 0x01010101u * (uint8_t)low, highs = 0x01010101u * (uint8_t)high;
    const int8_t *const end = values + (count & ~(size_t)3);
    for (; values != end; values += 4) {
        uint32_t four, unused;
        __builtin_memcpy(&four, values, 4);
        __asm__("ssub8 %1, %0, %2\n\tsel %0, %0, %2\n\tssub8 %1, %3, %0\n\tsel %0, %0, %3"
                : "+r"(four), "=&r"(unused)
                : "r"(lows), "r"(highs));
        __builtin_memcpy(values, &four, 4);
    }
    return count & ~(size_t)3;
}
#else
static size_t clamp_fours(int8_t *values, size_t count, int8_t low, int8_t high)
{
    (void)values, (void)count, (void)low, (void)high;
    return 0;
}
#endif

void le_clamp_s8(int8_t *values, size_t count, int8_t low, int8_t high)
{
    const size_t done = clamp_fours(values, count, low, high);
    for (count -= done, values += done; count != 0; count--, values++) {
        *values = *values < low ? low : *values > high ? high : *values;
    }
}

#endif
