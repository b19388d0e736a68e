/* The mean along axes, as TFLM computes it: the sum is scaled by a factor that has the division in it
 * (QuantizedMeanOrSum, tensorflow/lite/kernels/internal/reference/reduce.h). */
#include "le_tensors.h"

static int32_t sum(const le_mean *by, LE_TABLE int8_t *input)
{
    int32_t total = by->bias;
    for (size_t i = 0; i < by->meant[0]; i++, input += by->meant_steps[0]) {
        LE_TABLE int8_t *value = input;
        for (size_t j = 0; j < by->meant[1]; j++, value += by->meant_steps[1]) {
            total += *value;
        }
    }
    return total;
}

void le_mean_s8(LE_TABLE le_mean *layer, LE_TABLE int8_t *input, int8_t *output)
{
    const le_mean by = *layer;
    for (size_t i = 0; i < by.kept[0]; i++, input += by.kept_steps[0]) {
        LE_TABLE int8_t *first = input;
        for (size_t j = 0; j < by.kept[1]; j++, first += by.kept_steps[1]) {
            *output++ = le_scaled_s8(sum(&by, first), &by.to);
        }
    }
}
