#include "le_kernels.h"

void le_clamp_s8(int8_t *values, size_t count, int8_t low, int8_t high)
{
    for (; count != 0; count--, values++) {
        *values = *values < low ? low : *values > high ? high : *values;
    }
}
