/* Like le_conv2d.c it requantises the maximum over the pooling window. */
#include "le_packed_window.h"

void le_conv2d_packed_s8(LE_TABLE le_conv2d_packed *layer, const int8_t *input, int8_t *patch_buffer, int8_t *output)
{
    const le_windows windows = layer->windows;
    const size_t inputs = windows.input.channels;
    le_taps_packed by = {windows.window_w * inputs, 0, windows.stride_w * inputs, 0, windows.window_h};
    for (uint16_t row = 0; row < windows.output.height; row++) {
        for (uint16_t column = 0; column < windows.output.width; column++) {
            const le_patch patch = le_patch_at_s8(&windows, input, row, column, patch_buffer);
            LE_TABLE uint8_t *weights = layer->weights;
            by.row = patch.row;
            by.down = windows.stride_h * patch.row;
            for (uint16_t c = 0; c < layer->channels; c++, weights += layer->row_bytes) {
                const int32_t sum = le_maximum_of_window(layer, weights, patch.start, &by);
                output[c] = le_requantize_s8(&layer->requantization, c, 2 * sum);
            }
            output += windows.output.channels;
        }
    }
}
