#include "le_dilated.h"

void le_conv2d_dilated_s8(LE_TABLE le_conv2d_dilated *layer, const int8_t *input, int8_t *output)
{
    const le_windows windows = layer->layer.windows;
    const size_t inputs = layer->group_inputs;
    const size_t weights_of_channel = (size_t)windows.window_h * windows.window_w * inputs;
    const le_taps_dilated by = {&windows, inputs, inputs, layer->dilation_h, layer->dilation_w};
    for (uint16_t row = 0; row < windows.output.height; row++) {
        for (uint16_t column = 0; column < windows.output.width; column++, output += windows.output.channels) {
            LE_TABLE int8_t *weights = layer->layer.weights;
            for (uint16_t c = 0; c < layer->layer.channels; c++, weights += weights_of_channel) {
                const size_t group = ((size_t)layer->first + c) / layer->group_outputs;
                const int32_t sum = le_maximum_dilated(weights, input + group * inputs, row, column, &by);
                output[c] = le_requantize_s8(&layer->layer.requantization, c, sum);
            }
        }
    }
}
