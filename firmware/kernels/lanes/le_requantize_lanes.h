/* The two requantisations of le_lanes.h in C: an output for the sum of its products h u, or w u, by its words in the table. */
#ifndef LE_REQUANTIZE_LANES_H
#define LE_REQUANTIZE_LANES_H

#include "le_kernels.h"

typedef int8_t le_requantize_lanes(int32_t sum, LE_TABLE uint32_t *words);

/* On the tie-free grid; words: offset, limit, floor(2^18 / q), q. */
static inline int8_t le_requantize_tie_free_lanes(int32_t sum, LE_TABLE uint32_t *words)
{
    const int32_t k = sum + (int32_t)words[0];
    if (k < 0) {
        return -128;
    }
    if ((uint32_t)k >= words[1]) {
        return 127;
    }
    const uint32_t t = (uint32_t)k * words[2] >> 18;
    return (int8_t)((int32_t)t + ((uint32_t)k - t * words[3] >= words[3]) - 128);
}

/* (a m + 2^30) >> 31 for |a| < 2^29 and m from 0 to 2^31 - 1. */
static inline int32_t le_high_product_lanes(int32_t a, uint32_t m)
{
#if defined(__ARM_ARCH) && __ARM_ARCH < 7 /* no long multiplication: a = 2^16 ah + al, m = 2^16 mh + ml; */
    const int32_t al = (int16_t)a, ah = (a - al) >> 16; /* |al| <= 2^15 and |ah| <= 2^13, */
    const int32_t ml = (uint16_t)m, mh = (int32_t)(m >> 16);
    const int32_t middle = al * mh + (al * ml >> 16) + ah * ml; /* so that this is below 2^31; what lies below 2^16 of */
    return 2 * (ah * mh) + ((middle + (1 << 14)) >> 15);        /* the product cannot change the floor of n + 2^30 */
#else
    return (int32_t)(((int64_t)a * (int32_t)m + (1 << 30)) >> 31);
#endif
}

/* TFLM's; words: bias, multiplier, and the bytes shift, zero point, smallest and largest output. */
static inline int8_t le_requantize_double_lanes(int32_t sum, LE_TABLE uint32_t *words)
{
    const uint8_t *const by = (const uint8_t *)(words + 2);
    const int32_t high = le_high_product_lanes(sum + (int32_t)words[0], words[1]);
    const int32_t result = ((high + (1 << by[0] >> 1) + (high >> 31)) >> by[0]) + by[1];
    return (int8_t)((result < by[2] ? by[2] : result > by[3] ? by[3] : result) - 128);
}

#endif
