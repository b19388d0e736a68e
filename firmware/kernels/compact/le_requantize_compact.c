#include "le_compact.h"

int8_t le_requantize_compact(LE_TABLE uint8_t *head, int32_t sum)
{
    const uint32_t q = head[0] | (uint32_t)head[1] << 8;
    const uint32_t bias = head[2] | (uint32_t)head[3] << 8 | (uint32_t)head[4] << 16;
    const int32_t n = sum + (int32_t)((bias ^ 0x800000u) - 0x800000u);
    uint32_t rest = (uint32_t)n, divisor = q << 8;
    uint8_t quotient = 0;
    if (n < 0) {
        return -128;
    }
    if (rest >= divisor) {
        return 127;
    }
    for (uint8_t bit = 0; bit < 8; bit++) {
        quotient = (uint8_t)(quotient << 1);
        divisor >>= 1;
        if (rest >= divisor) {
            rest -= divisor;
            quotient |= 1u;
        }
    }
    return (int8_t)(quotient - 128);
}
