#include "le_ternary.h"

int32_t le_largest_two_bits(LE_TABLE uint8_t *weights, const int8_t *x, const le_taps_packed *by)
{
    return le_largest_ternary(weights, x, by, 4, 4);
}
