#include "le_kernels.h"

/* Four outputs at once: each input is loaded once for four products. */
static void four_outputs(LE_TABLE int8_t *weights, const int8_t *input, uint16_t inputs, int32_t sums[4])
{
    LE_TABLE int8_t *w0 = weights, *w1 = w0 + inputs, *w2 = w1 + inputs, *w3 = w2 + inputs;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (const int8_t *const end = input + inputs; input != end; input++) {
        const int8_t x = *input;
        s0 += *w0++ * x;
        s1 += *w1++ * x;
        s2 += *w2++ * x;
        s3 += *w3++ * x;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

static int32_t one_output(LE_TABLE int8_t *weights, const int8_t *input, uint16_t inputs)
{
    int32_t sum = 0;
    for (uint16_t i = 0; i < inputs; i++) {
        sum += *weights++ * input[i];
    }
    return sum;
}

void le_fully_connected_s8(LE_TABLE le_fully_connected *layer, const int8_t *input, int8_t *output)
{
    const uint16_t inputs = layer->inputs, outputs = layer->outputs;
    LE_TABLE int8_t *weights = layer->weights;
    uint16_t c = 0;
    for (; outputs - c >= 4; weights += 4 * (size_t)inputs) {
        int32_t sums[4];
        four_outputs(weights, input, inputs, sums);
        for (uint8_t i = 0; i < 4; i++, c++) {
            output[c] = le_requantize_s8(&layer->requantization, c, sums[i]);
        }
    }
    for (; c < outputs; c++, weights += inputs) {
        output[c] = le_requantize_s8(&layer->requantization, c, one_output(weights, input, inputs));
    }
}
