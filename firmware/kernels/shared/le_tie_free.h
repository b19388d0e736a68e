/* Requantisation on the tie-free grid as fast kernels do it: one signed high multiply and one saturation.
 *
 * le_requantize_tie_free.c divides n = A + q + 2q (z + 128), which must not be negative, by 2q. Here it is
 * n = A + q + 2q z, of either sign, and the result is floor(n / 2q) itself: n is odd, so that n / 2q is at least 1 / 2q
 * away from both integers around it, and multiplier = floor(2^32 / 2q) moves the product towards zero by less than
 * |n| / 2^32, which is at most 1 / 2q while |n| < 256 * 2q, since (2q)^2 < 2^24. A larger |n| cannot come closer to
 * zero than the 255 or -256 there, and is saturated. */
#ifndef LE_TIE_FREE_H
#define LE_TIE_FREE_H

#include "le_kernels.h"

static inline int8_t le_tie_free_s8(int32_t n, int32_t multiplier)
{
    const int32_t result = (int32_t)(((int64_t)n * multiplier) >> 32);
    return (int8_t)(result < -128 ? -128 : result > 127 ? 127 : result);
}

#endif
