#include "le_dsp.h"

uint32_t *le_pairs_dsp_s8(const int8_t *from, size_t count, uint32_t *to)
{
    const int8_t *const end = from + (count & ~(size_t)3);
    for (; from != end; from += 4, to += 2) {
        const uint32_t bytes = le_four_bytes(from);
        to[0] = le_sxtb16(bytes);
        to[1] = le_sxtb16_ror8(bytes);
    }
    const size_t left = count & 3;
    if (left != 0) {
        *to++ = le_pkhbt((uint32_t)from[0], left > 1 ? (uint32_t)from[1] : 0);
    }
    if (left > 2) {
        *to++ = le_pkhbt((uint32_t)from[2], 0);
    }
    return to;
}
