/* Depthwise convolution: the weights are copied to RAM once, where a load takes 2 cycles and a step to the next one of a
 * channel nothing more than an addition. le_depthwise_avr.S has the loops of a position. */
#include "le_avr.h"
#include "le_windows.h"

void le_depthwise_conv2d_avr_s8(LE_TABLE le_depthwise_avr *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const le_windows windows = layer->windows;
    const uint16_t channels = windows.input.channels;
    LE_TABLE uint8_t *table = layer->table;
    int8_t *patch_buffer = scratch;
    for (uint16_t left = windows.window_h * windows.window_w * channels; left != 0; left--) {
        *patch_buffer++ = (int8_t)*table++;
    }
    le_position_avr position = {.tap = channels, .window_h = windows.window_h, .window_w = windows.window_w};
    for (uint16_t row = 0; row < windows.output.height; row++) {
        for (uint16_t column = 0; column < windows.output.width; column++, output += channels) {
            const le_patch patch = le_patch_at_s8(&windows, input, row, column, patch_buffer);
            position.input = patch.start;
            position.weights = scratch;
            position.output = output;
            position.table = table;
            position.channels = channels;
            position.row = (uint16_t)(patch.row - windows.window_w * channels);
            le_depthwise_avr_s8(&position);
        }
    }
}
