/* Weights of -7 to 7, two in a byte: the first in its upper half. */
#ifndef LE_FOUR_BITS_H
#define LE_FOUR_BITS_H

#include "le_packed.h"

#if (-1 >> 1) != -1
#error "a right shift of negative numbers is expected to round down, as every compiler we know of has it"
#endif

#ifdef LE_NO_MULTIPLIER
static int16_t le_times(int8_t k, int8_t x)
{
    int16_t product = 0, term = x;
    uint8_t bits = (uint8_t)k;
    if (k < 0) {
        bits = (uint8_t)-k;
        term = (int16_t)-x;
    }
    for (; bits; bits >>= 1) {
        if (bits & 1) {
            product = (int16_t)(product + term);
        }
        term = (int16_t)(term + term);
    }
    return product;
}
#else
static inline int16_t le_times(int8_t k, int8_t x) { return (int16_t)(k * x); }
#endif

/* A row of weights as it is read: the byte whose upper half is next, or whose lower half is. */
typedef struct {
    LE_TABLE uint8_t *next;
    uint8_t rest, is_half;
} le_halves;

static inline int8_t le_next_half(le_halves *from)
{
    if (!from->is_half) {
        from->rest = *from->next++;
    }
    const int8_t k = (int8_t)((int8_t)from->rest >> 4);
    from->rest = (uint8_t)(from->rest << 4);
    from->is_half ^= 1;
    return k;
}

#endif
