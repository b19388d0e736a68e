#include "le_kernels.h"

void le_lookup_s8(LE_TABLE int8_t *table, int8_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = table[values[i] + 128];
    }
}
