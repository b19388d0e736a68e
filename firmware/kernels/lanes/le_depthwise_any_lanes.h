/* Depthwise convolutions of any window, stride and pooling: a channel in C. Both requantisations have this around them. */
#ifndef LE_DEPTHWISE_ANY_LANES_H
#define LE_DEPTHWISE_ANY_LANES_H

#include "le_depthwise_lanes.h"
#include "le_requantize_lanes.h"

static inline int32_t le_window_sum_lanes(const le_windows *windows, const uint8_t *u, size_t columns, const int8_t *weights)
{
    int32_t sum = 0;
    for (uint8_t y = windows->window_h; y != 0; y--, u += columns) {
        const uint8_t *tap = u;
        for (uint8_t x = windows->window_w; x != 0; x--) {
            sum += *weights++ * *tap++;
        }
    }
    return sum;
}

/* A row of outputs of one channel. */
static inline void le_outputs_of_row_lanes(const le_windows *windows, const uint8_t *u, size_t columns,
                                           const int8_t *weights, int8_t *output, LE_TABLE uint32_t *words,
                                           le_requantize_lanes *requantize)
{
    const size_t channels = windows->output.channels, down = windows->stride_h * columns;
    for (uint16_t left = windows->output.width; left != 0; left--, u += windows->step_w, output += channels) {
        int32_t largest = INT32_MIN;
        const uint8_t *row = u;
        for (uint8_t y = windows->pool_h; y != 0; y--, row += down) {
            const uint8_t *at = row;
            for (uint8_t x = windows->pool_w; x != 0; x--, at += windows->stride_w) {
                const int32_t sum = le_window_sum_lanes(windows, at, columns, weights);
                largest = sum > largest ? sum : largest;
            }
        }
        *output = requantize(largest, words);
    }
}

/* words: of the requantisation. */
static inline void le_depthwise_any_lanes(LE_TABLE le_lanes_depthwise *layer, LE_TABLE uint32_t *table, const uint8_t *strip,
                                          size_t rows, int8_t *output, uint8_t words, le_requantize_lanes *requantize)
{
    const le_windows windows = layer->windows;
    const size_t columns = layer->strip_columns, line = (size_t)windows.output.width * windows.output.channels;
    for (; rows != 0; rows--, strip += windows.step_h * columns, output += line) {
        le_outputs_of_row_lanes(&windows, strip, columns, (const int8_t *)table, output,
                                table + layer->channel_words - words, requantize);
    }
}

#endif
