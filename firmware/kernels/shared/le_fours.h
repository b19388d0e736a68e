/* Sums of four channels over pixels. LE_SOURCE: const, or LE_TABLE where the values may lie in flash. */
#ifndef LE_FOURS_H
#define LE_FOURS_H

#include "le_kernels.h"

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>
#endif

/* sums[i] += each x[i] of `count` pixels, which are `pixel` bytes apart. */
#if defined(__ARM_FEATURE_MVE)
static inline void le_add_four(LE_SOURCE int8_t *x, ptrdiff_t pixel, size_t count, int32_t *sums)
{
    int32x4_t four = vldrwq_s32(sums);
    for (; count != 0; count--, x += pixel) {
        four = vaddq_s32(four, vldrbq_s32(x));
    }
    vstrwq_s32(sums, four);
}

#elif defined(__ARM_FEATURE_DSP)
/* Two sums in a word, which 256 values of int8 cannot leave. */
static inline void le_add_four(LE_SOURCE int8_t *x, ptrdiff_t pixel, size_t count, int32_t *sums)
{
    while (count != 0) {
        int32_t even = 0, odd = 0;
        size_t left = count < 256 ? count : 256;
        for (count -= left; left != 0; left--, x += pixel) {
            int32_t values;
            __builtin_memcpy(&values, x, 4);
            __asm__("sxtab16 %0, %0, %1" : "+r"(even) : "r"(values));
            __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(odd) : "r"(values));
        }
        sums[0] += (int16_t)even;
        sums[1] += (int16_t)odd;
        sums[2] += even >> 16;
        sums[3] += odd >> 16;
    }
}
#else
static inline void le_add_four(LE_SOURCE int8_t *x, ptrdiff_t pixel, size_t count, int32_t *sums)
{
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    for (; count != 0; count--, x += pixel) {
        s0 += x[0];
        s1 += x[1];
        s2 += x[2];
        s3 += x[3];
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}
#endif

#endif
