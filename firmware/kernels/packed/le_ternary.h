/* Weights of -1, 0 and 1: additions and subtractions. The digits of a byte are k + 1. */
#ifndef LE_TERNARY_H
#define LE_TERNARY_H

#include "le_packed.h"

/* A row of weights as it is read: what is left of its current byte, and how many digits that has. */
typedef struct {
    LE_TABLE uint8_t *next;
    uint8_t rest, left;
} le_digits;

/* The next digit. radix, count: 3, 5 or 4, 4; constants, so that the product is a shift, or one with an addition. */
static inline uint8_t le_next_digit(le_digits *from, uint8_t radix, uint8_t count)
{
    if (!from->left) {
        from->rest = *from->next++;
        from->left = count;
    }
    const uint16_t product = (uint16_t)(from->rest * (unsigned)radix);
    from->left--;
    from->rest = (uint8_t)product;
    return (uint8_t)(product >> 8);
}

static inline int32_t le_sum_ternary(LE_TABLE uint8_t *weights, const int8_t *x, const le_taps_packed *by,
                                     uint8_t radix, uint8_t count)
{
    le_digits digits = {weights, 0, 0};
    int32_t sum = 0;
    for (uint8_t row = by->rows; row; row--, x += by->row) {
        const int8_t *at = x, *const end = x + by->taps;
        do {
            const uint8_t digit = le_next_digit(&digits, radix, count);
            if (digit > 1) {
                sum += *at;
            } else if (!digit) {
                sum -= *at;
            }
        } while (++at != end);
    }
    return sum;
}

static inline int32_t le_maximum(int32_t a, int32_t b) { return a > b ? a : b; }

/* Each digit is taken out once for four positions. */
static inline int32_t le_largest_ternary(LE_TABLE uint8_t *weights, const int8_t *x, const le_taps_packed *by,
                                         uint8_t radix, uint8_t count)
{
    le_digits digits = {weights, 0, 0};
    int32_t s00 = 0, s01 = 0, s10 = 0, s11 = 0;
    const size_t across = by->across;
    for (uint8_t row = by->rows; row; row--, x += by->row) {
        const int8_t *upper = x, *lower = x + by->down, *const end = x + by->taps;
        do {
            const uint8_t digit = le_next_digit(&digits, radix, count);
            if (digit > 1) {
                s00 += upper[0];
                s01 += upper[across];
                s10 += lower[0];
                s11 += lower[across];
            } else if (!digit) {
                s00 -= upper[0];
                s01 -= upper[across];
                s10 -= lower[0];
                s11 -= lower[across];
            }
            lower++;
        } while (++upper != end);
    }
    return le_maximum(le_maximum(s00, s01), le_maximum(s10, s11));
}

#endif
