/* Matrix times vector with TFLM's requantisation. */
#include "le_matrix_lanes.h"

/* (a m + 2^30) >> 31 for |a| < 2^29 and m from 0 to 2^31 - 1. */
static inline int32_t high_product(int32_t a, uint32_t m)
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

/* As le_lanes.h says; words: bias, multiplier, and the bytes shift, zero point, smallest and largest output. */
static int8_t requantize(int32_t sum, LE_TABLE uint32_t *words)
{
    const uint8_t *const by = (const uint8_t *)(words + 2);
    const int32_t high = high_product(sum + (int32_t)words[0], words[1]);
    const int32_t result = ((high + (1 << by[0] >> 1) + (high >> 31)) >> by[0]) + by[1];
    return (int8_t)((result < by[2] ? by[2] : result > by[3] ? by[3] : result) - 128);
}

void le_fully_connected_double_lanes_s8(LE_TABLE le_lanes_matrix *matrix, const int8_t *input, int8_t *scratch,
                                        int8_t *output)
{
    le_multiply_lanes_s8(matrix, input, scratch, output, 128, 3, requantize);
}
