/* What compilers call where the core has no multiplier, as of libgcc and compiler-rt. GCC's own are not for every
 * variant: Debian's has none for RV32E. */
#include <stdint.h>

#ifndef __riscv_mul

uint32_t __mulsi3(uint32_t a, uint32_t b);
uint64_t __muldi3(uint64_t a, uint64_t b);

uint32_t __mulsi3(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (; a != 0; a >>= 1, b <<= 1) {
        if (a & 1u) {
            product += b;
        }
    }
    return product;
}

uint64_t __muldi3(uint64_t a, uint64_t b)
{
    uint64_t product = 0;
    for (; a != 0; a >>= 1, b <<= 1) {
        if (a & 1u) {
            product += b;
        }
    }
    return product;
}

#else
typedef int le_no_multiply; /* C has no empty source */
#endif
