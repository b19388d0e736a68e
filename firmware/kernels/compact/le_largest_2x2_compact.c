/* On RV32E le_largest_2x2_rv32e.S has this. */
#include "le_patches_compact.h"

#ifndef __riscv_32e
static LE_TABLE uint8_t *four_sums(LE_TABLE le_compact_conv2d *layer, LE_TABLE uint8_t *table, const int8_t *input,
                                   unsigned below, int32_t sums[4])
{
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    const unsigned right = layer->right;
    for (uint8_t rows = layer->window_h; rows > 0; rows--, input += below) {
        const int8_t *x = input, *const end = input + layer->run;
        while (x < end) {
            unsigned t = *table++;
            for (const int8_t *const next = x + 5; x != next; x++) {
                t += t << 1;
                if (t >= 256) {
                    const int8_t *const lower = x + below;
                    t -= 256;
                    if (t < 256) {
                        s0 += *x;
                        s1 += x[right];
                        s2 += *lower;
                        s3 += lower[right];
                    } else {
                        t -= 256;
                        s0 -= *x;
                        s1 -= x[right];
                        s2 -= *lower;
                        s3 -= lower[right];
                    }
                }
            }
        }
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
    return table;
}

LE_TABLE uint8_t *le_largest_2x2_compact(LE_TABLE le_compact_conv2d *layer, LE_TABLE uint8_t *table,
                                         const int8_t *patch, uint16_t below, int32_t *sum)
{
    int32_t sums[4] = {0, 0, 0, 0};
    for (uint8_t digit = layer->digits; digit > 0; digit--) {
        for (uint8_t i = 0; i < 4; i++) {
            sums[i] += sums[i] * 2;
        }
        table = four_sums(layer, table, patch, below, sums);
    }
    for (uint8_t i = 1; i < 4; i++) {
        sums[0] = sums[i] > sums[0] ? sums[i] : sums[0];
    }
    *sum = sums[0];
    return table;
}
#endif
