#include "le_kernels.h"

uint16_t le_argmax_s8(const int8_t *values, uint16_t count)
{
    uint16_t best = 0;
    for (uint16_t i = 1; i < count; i++) {
        best = values[i] > values[best] ? i : best;
    }
    return best;
}
