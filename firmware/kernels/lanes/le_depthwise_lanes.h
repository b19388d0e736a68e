/* Depthwise convolutions, channel by channel: what a strip of output rows sees is gathered with its padding, so that no
 * window hangs over an edge and its rows lie next to each other. All of it is inline, around what computes a channel. */
#ifndef LE_DEPTHWISE_LANES_H
#define LE_DEPTHWISE_LANES_H

#include "le_lanes.h"

#include <string.h>

/* The outputs of a channel in `rows` rows, from the strip. */
typedef void le_channel_lanes(LE_TABLE le_lanes_depthwise *layer, LE_TABLE uint32_t *table, const uint8_t *strip, size_t rows,
                              int8_t *output);

/* Inputs from one to the next, and how many of a row are inside the strip; from behind these to the next row, in the input
 * and in the strip. */
typedef struct {
    size_t channels, inside, across, beyond;
} le_gathering;

/* A channel's part of the strip, from its first input there on; what lies outside is padding already. */
static LE_NOINLINE void le_gather_lanes(const int8_t *from, size_t rows, uint8_t *to, const le_gathering *by)
{
    const size_t channels = by->channels, inside = by->inside, across = by->across, beyond = by->beyond;
    for (; rows != 0; rows--, from += across, to += beyond) {
        const uint8_t *const end = to + inside;
        do {
            *to++ = (uint8_t)(*from + 128);
            from += channels;
        } while (to != end);
    }
}

/* Strip by strip all channels, so that the padding is filled in once for each strip. */
static inline void le_depthwise_lanes_s8(LE_TABLE le_lanes_depthwise *layer, const int8_t *input, uint8_t *strip,
                                         int8_t *output, le_channel_lanes *channel)
{
    const le_windows windows = layer->windows;
    const size_t columns = layer->strip_columns, line = (size_t)windows.input.width * windows.input.channels;
    const size_t output_line = (size_t)windows.output.width * windows.output.channels;
    const size_t right = columns - windows.pad_left, inside = right < windows.input.width ? right : windows.input.width;
    const le_gathering gathering = {windows.input.channels, inside, (windows.input.width - inside) * windows.input.channels,
                                    columns - inside};
    for (int first = 0; first < windows.output.height; first += layer->strip_rows) {
        const int left = windows.output.height - first, rows = left < layer->strip_rows ? left : layer->strip_rows;
        const int top = first * windows.step_h - windows.pad_top, begin = top < 0 ? 0 : top;
        const int bottom = top + (rows - 1) * windows.step_h + windows.patch_h;
        const int end = bottom < windows.input.height ? bottom : windows.input.height;
        const int8_t *from = input + (size_t)begin * line;
        uint8_t *const gathered = strip + (size_t)(begin - top) * columns + windows.pad_left;
        LE_TABLE uint32_t *table = layer->table;
        memset(strip, (uint8_t)(windows.padding_value + 128), (size_t)(bottom - top) * columns);
        for (uint16_t c = 0; c < windows.output.channels; c++, table += layer->channel_words) {
            le_gather_lanes(from++, (size_t)(end - begin), gathered, &gathering);
            channel(layer, table, strip, (size_t)rows, output + c);
        }
        output += (size_t)rows * output_line;
    }
}

#endif
