/* Ternary weights of many outputs: of five inputs all 243 sums are made once, and for each output one of them is added. */
#include "le_packed.h"

/* sums[v]: of k * x, where v has the digits k + 1; the last input has the last digit. Inputs from `count` on are 0. */
static void make_sums(int16_t *sums, const int8_t *x, uint16_t count)
{
    uint8_t known = 1;
    sums[0] = 0;
    for (uint8_t i = 5; i-- > 0; known = (uint8_t)(3 * known)) {
        const int16_t value = i < count ? x[i] : 0;
        int16_t *const zero = sums + known, *const plus = zero + known;
        for (uint8_t v = 0; v < known; v++) {
            const int16_t sum = sums[v];
            sums[v] = (int16_t)(sum - value);
            zero[v] = sum;
            plus[v] = (int16_t)(sum + value);
        }
    }
}

void le_fully_connected_trits_s8(LE_TABLE le_fully_connected_packed *layer, const int8_t *input, int8_t *scratch,
                                 int8_t *output)
{
    const uint16_t inputs = layer->inputs, outputs = layer->outputs, row_bytes = layer->row_bytes;
    int32_t *const totals = (int32_t *)scratch;
    int16_t *const sums = (int16_t *)(totals + outputs);
    for (uint16_t c = 0; c < outputs; c++) {
        totals[c] = 0;
    }
    for (uint16_t group = 0; group < row_bytes; group++) {
        LE_TABLE uint8_t *weights = layer->weights + group;
        make_sums(sums, input + 5 * (size_t)group, (uint16_t)(inputs - 5 * group));
        for (uint16_t c = 0; c < outputs; c++, weights += row_bytes) {
            const uint16_t code = *weights;
            /* ceil(256 v / 243) * 243 / 256 is v and a part of 1. */
            totals[c] += sums[(uint16_t)((code << 8) - (code << 3) - (code << 2) - code) >> 8];
        }
    }
    for (uint16_t c = 0; c < outputs; c++) {
        output[c] = le_requantize_s8(&layer->requantization, c, 2 * totals[c]);
    }
}
