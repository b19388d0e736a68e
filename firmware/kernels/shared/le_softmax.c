/* Softmax in fixed point, as TFLM's reference does it (reference_ops::Softmax for int8,
 * tensorflow/lite/kernels/internal/reference/softmax.h; GetReciprocal and one_over_one_plus_x_for_x_in_0_1 in gemmlowp's
 * fixedpoint.h). The exponentials come from a table, since a difference of two int8 has 256 values. */
#include "le_kernels.h"

#if (-1 >> 1) != -1
#error "a right shift of negative numbers is expected to round down, as every compiler we know of has it"
#endif

/* SaturatingRoundingDoublingHighMul; its saturating case does not occur here. */
static int32_t multiply(int32_t a, int32_t b) { return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31); }

static int32_t saturate(int64_t value)
{
    if (value > INT32_MAX) {
        return INT32_MAX;
    }
    return value < INT32_MIN ? INT32_MIN : (int32_t)value;
}

/* 1 / (1 + a) in Q0.31 for a in Q0.31, 0 <= a < 1: three Newton-Raphson steps on half the denominator. */
static int32_t reciprocal_of_one_plus(int32_t a)
{
    const int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) >> 1);
    int32_t x = 1515870810 + multiply(half_denominator, -1010580540); /* 48/17 - 32/17 d, in Q2.29 */
    for (uint8_t step = 0; step < 3; step++) {
        const int32_t error = ((int32_t)1 << 29) - multiply(half_denominator, x);
        x += saturate((int64_t)multiply(x, error) * 4);
    }
    return saturate((int64_t)x * 2);
}

static uint8_t leading_zeros(uint32_t value)
{
    uint8_t count = 0;
    for (; !(value & 0x80000000u); value <<= 1) {
        count++;
    }
    return count;
}

static int8_t largest_of(const int8_t *values, size_t count)
{
    int8_t largest = values[0];
    for (size_t i = 1; i < count; i++) {
        largest = values[i] > largest ? values[i] : largest;
    }
    return largest;
}

/* Half away from zero, of a share that is not negative; what 32 bits and more leave of 31 is nothing. */
static int32_t shift_right(int32_t share, uint8_t shift)
{
    if (shift > 31) {
        return 0;
    }
    const int32_t mask = (int32_t)(((uint32_t)1 << shift) - 1);
    return (share >> shift) + ((share & mask) > (mask >> 1));
}

void le_softmax_s8(LE_TABLE int32_t *exponentials, int8_t *values, size_t count)
{
    const int8_t largest = largest_of(values, count);
    uint32_t total = 0; /* Q12.19; an exponential is at most 2^31 - 1, so unsigned holds it with its rounding */
    for (size_t i = 0; i < count; i++) {
        total += ((uint32_t)exponentials[largest - values[i]] + (1u << 11)) >> 12;
    }
    const uint8_t headroom = leading_zeros(total), shift = (uint8_t)(12 - headroom + 31 - 8);
    const int32_t scale = reciprocal_of_one_plus((int32_t)((total << headroom) - 0x80000000u));
    for (size_t i = 0; i < count; i++) {
        const int32_t rounded = shift_right(multiply(exponentials[largest - values[i]], scale), shift);
        values[i] = (int8_t)((rounded > 255 ? 255 : rounded) - 128);
    }
}
