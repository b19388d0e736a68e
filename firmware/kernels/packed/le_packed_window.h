/* What the kernels of packed weights with sliding windows share. */
#ifndef LE_PACKED_WINDOW_H
#define LE_PACKED_WINDOW_H

#include "le_packed.h"
#include "le_windows.h"

/* The largest sum of a pooling window, whose first position begins at x; weights: the row of the channel. */
static inline int32_t le_maximum_of_window(LE_TABLE le_conv2d_packed *layer, LE_TABLE uint8_t *weights, const int8_t *x,
                                           const le_taps_packed *by)
{
    const uint8_t height = layer->windows.pool_h, width = layer->windows.pool_w, at_once = layer->at_once;
    int32_t largest = INT32_MIN;
    for (unsigned row = 0; row < height; row += at_once) {
        for (unsigned column = 0; column < width; column += at_once) {
            const int32_t sum = layer->sum(weights, x + row * by->down + column * by->across, by);
            largest = sum > largest ? sum : largest;
        }
    }
    return largest;
}

#endif
