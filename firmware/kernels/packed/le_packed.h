/* Layers whose weights are 2 k, with a small k: several of them in a byte. They are read digit by digit while the inputs
 * go by, and never lie unpacked in memory.
 *
 * A row of weights, those of one output channel, begins at a byte. In a byte the first weight is the most significant
 * digit, so that a digit falls out when the byte is multiplied by the radix:
 *   trits       five in a byte: it is ceil(256 v / 243), where v has the digits k + 1 in base 3
 *   two bits    four in a byte: k + 1
 *   four bits   two in a byte: k as a two's complement
 * What is left over in a row's last byte stands for k = 0, and is not read.
 */
#ifndef LE_PACKED_H
#define LE_PACKED_H

#include "le_kernels.h"

/* A processor without a multiplier: four bits are then shifts and additions. The ternary kernels never multiply. */
#if (defined(__riscv) && !defined(__riscv_mul)) || (defined(__AVR__) && !defined(__AVR_HAVE_MUL__))
#ifndef LE_NO_MULTIPLIER
#define LE_NO_MULTIPLIER
#endif
#endif

#ifndef LE_NO_TABLES

#ifdef __cplusplus
extern "C" {
#endif

/* The inputs that one channel sees: rows * taps of them, each row contiguous; all steps in bytes. */
typedef struct {
    size_t taps, row;    /* in a row, and from one to the next */
    size_t across, down; /* from one position of the convolution to the next in its pooling window */
    uint8_t rows;
} le_taps_packed;

/* A sum of k * x over all taps, of one position; or the largest such sum of 2 x 2 positions.
 * weights: the row of the channel; x: the first input of the first position. */
typedef int32_t le_sum_packed(LE_TABLE uint8_t *weights, const int8_t *x, const le_taps_packed *by);

le_sum_packed le_sum_trits, le_sum_two_bits, le_sum_four_bits;             /* one position */
le_sum_packed le_largest_trits, le_largest_two_bits, le_largest_four_bits; /* 2 x 2 positions */

/* weights: [outputs][row_bytes]; sum: for one position. */
typedef struct {
    uint16_t inputs, outputs, row_bytes;
    le_sum_packed *sum;
    LE_TABLE uint8_t *weights;
    le_requantization requantization;
} le_fully_connected_packed;

/* weights: [channels][row_bytes], each row [window_h][window_w][input.channels].
 * sum: for at_once x at_once positions of the pooling window, whose height and width at_once divides. */
typedef struct {
    le_windows windows;
    uint16_t channels, row_bytes;
    uint8_t at_once;
    le_sum_packed *sum;
    LE_TABLE uint8_t *weights;
    le_requantization requantization;
} le_conv2d_packed;

/* A convolution of each input channel by itself: its rows of weights are [window_h][window_w], and output channel c reads
 * input channel c / multiplier. */
typedef struct {
    le_conv2d_packed convolution;
    uint16_t multiplier;
} le_depthwise_conv2d_packed;

/* What le_fully_connected_s8, le_conv2d_s8 and le_depthwise_conv2d_s8 give for the same weights, unpacked. */
void le_fully_connected_packed_s8(LE_TABLE le_fully_connected_packed *layer, const int8_t *input, int8_t *output);
void le_conv2d_packed_s8(LE_TABLE le_conv2d_packed *layer, const int8_t *input, int8_t *patch, int8_t *output);

/* scratch: patch_h * patch_w bytes, and behind them what le_depthwise_conv2d_s8 takes as its patch. */
void le_depthwise_conv2d_packed_s8(LE_TABLE le_depthwise_conv2d_packed *layer, const int8_t *input, int8_t *scratch,
                                   int8_t *output);

/* The same for trits, in less than half of the instructions where there are many outputs. layer: its `sum` is not used;
 * scratch: LE_TRITS_SCRATCH(outputs) bytes, aligned to 4. */
#define LE_TRITS_SCRATCH(outputs) (4 * (outputs) + 2 * 243)
void le_fully_connected_trits_s8(LE_TABLE le_fully_connected_packed *layer, const int8_t *input, int8_t *scratch,
                                 int8_t *output);

#ifdef __cplusplus
}
#endif

#endif /* LE_NO_TABLES */

#endif
