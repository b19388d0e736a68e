/* On RV32E le_sum_rv32e.S has this. */
#include "le_compact.h"

#ifndef __riscv_32e
LE_TABLE uint8_t *le_sum_compact(LE_TABLE uint8_t *table, const int8_t *input, uint16_t stride, uint16_t run,
                                 uint8_t rows, int32_t *sum)
{
    int32_t s = *sum;
    for (; rows > 0; rows--, input += stride) {
        const int8_t *x = input, *const end = input + run;
        while (x < end) {
            unsigned t = *table++;
            for (const int8_t *const next = x + 5; x != next; x++) {
                t += t << 1;
                if (t >= 256) {
                    t -= 256;
                    if (t < 256) {
                        s += *x;
                    } else {
                        t -= 256;
                        s -= *x;
                    }
                }
            }
        }
    }
    *sum = s;
    return table;
}
#endif
