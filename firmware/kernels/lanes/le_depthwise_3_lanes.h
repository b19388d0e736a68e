/* Depthwise convolutions with windows of 3 x 3, without pooling: a channel is in le_depthwise_3_*.S. */
#ifndef LE_DEPTHWISE_3_LANES_H
#define LE_DEPTHWISE_3_LANES_H

#include "le_depthwise_lanes.h"

/* width: columns of outputs; step, channels: bytes from one to the next, in the strip and of outputs; span: bytes of the
 * strip from the first output of a column to behind the last one; columns: bytes of a row of the strip; line: bytes from an
 * output to the one below. next: 0 for a vertical stride of 1; for another one u is at the last row of the first window,
 * columns is negative, and next leads from above a window to the last row of the next one. */
typedef struct {
    uint32_t width, step, channels, span, columns, line, next;
} le_depthwise_arguments;

/* table: the weights, the last row of the kernel first; then offset, limit, upper bits and lower 14 bits of the reciprocal,
 * or bias, upper and lower 16 bits of the multiplier, shift, zero point, smallest and largest output. */
typedef void le_depthwise_3_lanes(const uint8_t *u, const int32_t *table, int8_t *output,
                                  const le_depthwise_arguments *arguments);
le_depthwise_3_lanes le_depthwise_3_divided_lanes, le_depthwise_3_double_lanes;

/* Unpacks the weights; what is behind them in `table` is there already. */
static inline void le_compute_3_lanes(LE_TABLE le_lanes_depthwise *layer, const int8_t *weights, int32_t *table,
                                      const uint8_t *strip, size_t rows, int8_t *output, le_depthwise_3_lanes *compute)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const uint32_t columns = layer->strip_columns, down = windows->stride_h * columns, is_1 = windows->stride_h == 1;
    const uint32_t channels = windows->output.channels, line = windows->output.width * channels;
    const le_depthwise_arguments arguments = {windows->output.width, windows->step_w, channels, (uint32_t)rows * down,
                                              is_1 ? columns : 0 - columns, line, is_1 ? 0 : 3 * columns + down};
    for (uint8_t i = 0; i < 9; i++) {
        table[i < 3 ? i + 6 : i < 6 ? i : i - 6] = weights[i];
    }
    compute(is_1 ? strip : strip + 2 * columns, table, output, &arguments);
}

#endif
