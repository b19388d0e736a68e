/* What a pooling for speed has for each kind of processor: le_pool2d_fours.c. */
#ifndef LE_POOL2D_FOURS_H
#define LE_POOL2D_FOURS_H

#include "le_sums.h"

/* What sums are divided by. Rounded half away from zero (AveragePool, tensorflow/lite/kernels/internal/reference/
 * integer_ops/pooling.h), the mean of a sum s is floor((s + count / 2) / count), with a negative s that would be a tie one
 * less. Here s has 128 count more, so that it is not negative.
 *
 * inverse: floor(2^24 / count) + 1 where count is at most LE_MOST_AT_ONCE. With n = s + count / 2, at most 255.5 count,
 * n inverse is below 2^32, and n inverse / 2^24 above n / count by at most n / 2^24, which is less than 1 / count. Else 0. */
typedef struct {
    uint32_t count, inverse, half;
    uint32_t ties_below; /* sums below that get one less */
} le_divisor;

static inline uint32_t le_divided_of(uint32_t sum, const le_divisor *by)
{
    return sum + by->half - (sum < by->ties_below);
}

/* Where count is at most LE_MOST_AT_ONCE. */
static inline int8_t le_mean_at_once(uint32_t sum, const le_divisor *by)
{
    return (int8_t)(((le_divided_of(sum, by) * by->inverse) >> 24) - 128);
}

static inline int8_t le_mean_of(uint32_t sum, const le_divisor *by)
{
    return (int8_t)(by->inverse != 0 ? le_mean_at_once(sum, by) : (int8_t)(le_divided_of(sum, by) / by->count - 128));
}

/* Of the first channels, a multiple of four, the outputs; returns how many. */
typedef uint16_t le_pool_fours(const le_area *area, const le_divisor *by, uint16_t channels, int8_t *output);

#if defined(__ARM_FEATURE_MVE)
#include "le_pool2d_mve.h"
#else
#include "le_pool2d_words.h"
#endif

#endif
