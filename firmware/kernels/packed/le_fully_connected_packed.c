#include "le_packed.h"

void le_fully_connected_packed_s8(LE_TABLE le_fully_connected_packed *layer, const int8_t *input, int8_t *output)
{
    const le_taps_packed by = {layer->inputs, 0, 0, 0, 1};
    const uint16_t outputs = layer->outputs;
    LE_TABLE uint8_t *weights = layer->weights;
    for (uint16_t c = 0; c < outputs; c++, weights += layer->row_bytes) {
        output[c] = le_requantize_s8(&layer->requantization, c, 2 * layer->sum(weights, input, &by));
    }
}
