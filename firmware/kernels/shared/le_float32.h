/* What float32 arithmetic rounds to, in integers: of runtimes that requantise in float32 the very result, and no float on
 * the device. A magnitude stands for itself times a power of two that the caller knows. */
#ifndef LE_FLOAT32_H
#define LE_FLOAT32_H

#include "le_kernels.h"

/* magnitude / 2^shift to the nearest integer, half to even; below 2^63, shift up to 62. */
static inline uint64_t le_shifted_half_even(uint64_t magnitude, uint8_t shift)
{
    if (shift == 0) {
        return magnitude;
    }
    return (magnitude + (((uint64_t)1 << (shift - 1)) - 1) + ((magnitude >> shift) & 1)) >> shift;
}

/* The magnitude with the 24 significant bits that a float32 has, half to even; below 2^63. */
static inline uint64_t le_rounded24(uint64_t magnitude)
{
    uint8_t excess = 0;
    for (uint64_t above = magnitude >> 24; above != 0;) {
        const uint8_t step = above >> 16 ? 16 : above >> 4 ? 4 : 1;
        above >>= step;
        excess = (uint8_t)(excess + step);
    }
    return le_shifted_half_even(magnitude, excess) << excess;
}

/* The same with a sign. */
static inline int64_t le_float32_of(int64_t value)
{
    return value < 0 ? -(int64_t)le_rounded24((uint64_t)-value) : (int64_t)le_rounded24((uint64_t)value);
}

/* A float32 that is not negative: magnitude * 2^-shift. */
typedef struct {
    uint64_t magnitude;
    int16_t shift;
} le_float32;

/* magnitude / divisor as a float32; magnitude up to 2^62. What the quotient has beyond its 24 bits is kept as one more bit
 * that is lower than any that counts. */
static inline le_float32 le_quotient24(uint64_t magnitude, uint32_t divisor)
{
    le_float32 result = {0, 0};
    if (magnitude == 0) {
        return result;
    }
    while (magnitude >> 61 == 0) {
        const uint8_t step = magnitude >> 46 == 0 ? 16 : 1;
        magnitude <<= step;
        result.shift = (int16_t)(result.shift + step);
    }
    const uint64_t quotient = magnitude / divisor;
    result.magnitude = le_rounded24(quotient | (quotient * divisor != magnitude));
    return result;
}

/* value / 2^shift + zero_point, half to even, clamped. */
static inline int8_t le_int8_half_even(int64_t value, uint8_t shift, int16_t zero_point, int8_t low, int8_t high)
{
    const uint64_t steps = le_shifted_half_even((uint64_t)(value < 0 ? -value : value), shift);
    const int16_t most = steps > 511 ? 511 : (int16_t)steps; /* with any zero point beyond any clamp */
    const int16_t result = (int16_t)((value < 0 ? -most : most) + zero_point);
    return result < low ? low : result > high ? high : (int8_t)result;
}

#endif
