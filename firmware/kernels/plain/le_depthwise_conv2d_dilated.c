#include "le_dilated.h"

void le_depthwise_conv2d_dilated_s8(LE_TABLE le_depthwise_conv2d_dilated *layer, const int8_t *input, int8_t *output)
{
    const le_windows windows = layer->layer.windows;
    const uint16_t channels = layer->layer.channels, multiplier = layer->layer.multiplier;
    const le_taps_dilated by = {&windows, 1, channels, layer->dilation_h, layer->dilation_w};
    for (uint16_t row = 0; row < windows.output.height; row++) {
        for (uint16_t column = 0; column < windows.output.width; column++) {
            for (uint16_t c = 0; c < channels; c++) {
                LE_TABLE int8_t *weights = layer->layer.weights + c;
                const int32_t sum = le_maximum_dilated(weights, input + c / multiplier, row, column, &by);
                *output++ = le_requantize_s8(&layer->layer.requantization, c, sum);
            }
        }
    }
}
