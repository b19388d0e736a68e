/* Depthwise convolution; le_depthwise_macros_avr.h has the loops of a position. */
#include "le_avr.h"
#include "le_windows.h"

void le_depthwise_conv2d_avr_s8(LE_TABLE le_depthwise_avr *layer, le_position_function_avr *compute, const int8_t *input,
                                int8_t *scratch, int8_t *output)
{
    const le_windows windows = layer->windows;
    const uint16_t channels = windows.input.channels;
    le_position_avr position = {
        .tap = channels, .across = (uint16_t)(windows.stride_w * channels),
        .window_h = windows.window_h, .window_w = windows.window_w, .pool_h = windows.pool_h, .pool_w = windows.pool_w,
    };
    for (uint16_t row = 0; row < windows.output.height; row++) {
        for (uint16_t column = 0; column < windows.output.width; column++, output += channels) {
            const le_patch patch = le_patch_at_s8(&windows, input, row, column, scratch);
            position.input = patch.start;
            position.output = output;
            position.table = layer->table;
            position.channels = channels;
            position.row = (uint16_t)(patch.row - windows.window_w * channels);
            position.down = (uint16_t)(windows.stride_h * patch.row);
            compute(&position);
        }
    }
}
