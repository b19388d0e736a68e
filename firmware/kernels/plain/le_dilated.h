/* Convolutions whose windows have gaps, or whose channels are in groups: slower than those of le_kernels.h, and without
 * a patch in memory. Dilation (1, 1) and one group are allowed. */
#ifndef LE_DILATED_H
#define LE_DILATED_H

#include "le_kernels.h"

#ifndef LE_NO_TABLES

/* layer.weights: [channels][window_h][window_w][group_inputs]; `first` is the layer's first channel among all of the
 * step's, of which each group has group_outputs. */
typedef struct {
    le_conv2d layer;
    uint8_t dilation_h, dilation_w;
    uint16_t group_inputs, group_outputs, first;
} le_conv2d_dilated;

typedef struct {
    le_depthwise_conv2d layer;
    uint8_t dilation_h, dilation_w;
} le_depthwise_conv2d_dilated;

/* output: the first of the layer's channels; input and output do not overlap. */
void le_conv2d_dilated_s8(LE_TABLE le_conv2d_dilated *layer, const int8_t *input, int8_t *output);
void le_depthwise_conv2d_dilated_s8(LE_TABLE le_depthwise_conv2d_dilated *layer, const int8_t *input, int8_t *output);

/* A channel at one position: its first weight, the step to its next tap, and how many inputs of a pixel it takes. */
typedef struct {
    const le_windows *windows;
    size_t inputs, step;
    uint8_t dilation_h, dilation_w;
} le_taps_dilated;

/* The maximum over the pooling window of a channel's sums of products.
 * input: that of the channel's first input in the first pixel; row, column: of the output. */
int32_t le_maximum_dilated(LE_TABLE int8_t *weights, const int8_t *input, unsigned row, unsigned column,
                           const le_taps_dilated *by);

#endif /* LE_NO_TABLES */

#endif
