/* The mean along axes, as TFLM computes it: the sum is scaled by a factor that has the division in it
 * (QuantizedMeanOrSum, tensorflow/lite/kernels/internal/reference/reduce.h). Four means at once where their values lie
 * side by side. */
#include "le_tensors.h"

#define LE_SOURCE LE_TABLE
#include "le_fours.h"

static void add(const le_mean *by, LE_TABLE int8_t *input, uint8_t means, int32_t *sums)
{
    for (size_t i = 0; i < by->meant[0]; i++, input += by->meant_steps[0]) {
        if (means == 4) {
            le_add_four(input, by->meant_steps[1], by->meant[1], sums);
        } else {
            LE_TABLE int8_t *value = input;
            for (size_t j = by->meant[1]; j != 0; j--, value += by->meant_steps[1]) {
                sums[0] += *value;
            }
        }
    }
}

void le_mean_s8(LE_TABLE le_mean *layer, LE_TABLE int8_t *input, int8_t *output)
{
    const le_mean by = *layer;
    for (size_t i = 0; i < by.kept[0]; i++, input += by.kept_steps[0]) {
        LE_TABLE int8_t *first = input;
        for (size_t left = by.kept[1]; left != 0;) {
            const uint8_t means = left >= 4 && by.kept_steps[1] == 1 ? 4 : 1;
            int32_t sums[4] = {by.bias, by.bias, by.bias, by.bias};
            add(&by, first, means, sums);
            for (uint8_t mean = 0; mean < means; mean++) {
                *output++ = le_scaled_s8(sums[mean], &by.to);
            }
            first += means * by.kept_steps[1];
            left -= means;
        }
    }
}
