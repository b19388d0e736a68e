/* Sums of four channels over pixels. LE_SOURCE: const, or LE_TABLE where the values may lie in flash.
 * LE_FAST_FOURS: with MVE two pixels at a time, and le_add_eight for eight channels. */
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
#ifdef LE_FAST_FOURS
    for (; count >= 2; count -= 2, x += 2 * pixel) {
        four = vaddq_s32(vaddq_s32(four, vldrbq_s32(x)), vldrbq_s32(x + pixel));
    }
#endif
    for (; count != 0; count--, x += pixel) {
        four = vaddq_s32(four, vldrbq_s32(x));
    }
    vstrwq_s32(sums, four);
}

#ifdef LE_FAST_FOURS
/* int16 hold the sums of 255 values of int8. */
static inline void le_add_eight(LE_SOURCE int8_t *x, ptrdiff_t pixel, size_t count, int32_t *sums)
{
    while (count != 0) {
        int16x8_t eight = vdupq_n_s16(0);
        size_t left = count < 255 ? count : 255;
        count -= left;
        for (; left >= 4; left -= 4, x += pixel) {
            eight = vaddq_s16(eight, vldrbq_s16(x));
            x += pixel;
            eight = vaddq_s16(eight, vldrbq_s16(x));
            x += pixel;
            eight = vaddq_s16(eight, vldrbq_s16(x));
            x += pixel;
            eight = vaddq_s16(eight, vldrbq_s16(x));
        }
        for (; left != 0; left--, x += pixel) {
            eight = vaddq_s16(eight, vldrbq_s16(x));
        }
        int16_t found[8];
        vstrhq_s16(found, eight);
        vstrwq_s32(sums, vaddq_s32(vldrwq_s32(sums), vldrhq_s32(found)));
        vstrwq_s32(sums + 4, vaddq_s32(vldrwq_s32(sums + 4), vldrhq_s32(found + 4)));
    }
}
#endif
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
