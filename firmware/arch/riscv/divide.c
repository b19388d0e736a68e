/* As multiply.c: what compilers call for a division where the core has none. */
#include <stdint.h>

#ifndef __riscv_div

uint32_t __udivsi3(uint32_t dividend, uint32_t divisor);
int32_t __divsi3(int32_t dividend, int32_t divisor);

/* Bit by bit, from the most significant one. */
uint32_t __udivsi3(uint32_t dividend, uint32_t divisor)
{
    uint32_t quotient = 0, rest = 0;
    for (uint8_t bit = 0; bit < 32; bit++) {
        rest = (rest << 1) | (dividend >> 31);
        dividend <<= 1;
        quotient <<= 1;
        if (rest >= divisor) {
            rest -= divisor;
            quotient |= 1u;
        }
    }
    return quotient;
}

int32_t __divsi3(int32_t dividend, int32_t divisor)
{
    const uint32_t top = dividend < 0 ? 0u - (uint32_t)dividend : (uint32_t)dividend;
    const uint32_t bottom = divisor < 0 ? 0u - (uint32_t)divisor : (uint32_t)divisor;
    const uint32_t quotient = __udivsi3(top, bottom);
    return (int32_t)((dividend < 0) != (divisor < 0) ? 0u - quotient : quotient);
}

#else
typedef int le_no_divide; /* C has no empty source */
#endif
