/* The smallest tables and code, without a multiplication: for cores that have no multiplier, and little flash.
 *
 * Only for models on the tie-free grid. A weight there is 2k. In balanced ternary k is a sum of digits d times powers of
 * three, d being -1, 0 or 1: one digit where the weights are ternary, 3 where they have 4 bits, 5 where they have 8.
 * What a digit is multiplied with is added or subtracted; between two digits the sum is multiplied by three.
 *
 * table: for each output channel
 *     q (uint16), bias (int24), little-endian, then for each digit, the most significant first,
 *     for each row of the window, for each five weights a byte: ceil(256 v / 243), v = ((((a 3 + b) 3 + c) 3 + d) 3 + e.
 * a is the first weight's digit, 0 for 0, 1 for 1, 2 for -1; the last byte of a row is filled with zeros. So the byte is
 * a fraction of 256, and times three its digits come out at the top, one after the other.
 *
 * The accumulator A = 2K gives the output floor((2K + q + 2q (z + 128)) / 2q) - 128. That number is odd, its half K + c and
 * a half, with c = (q (2z + 257) - 1) / 2. So the output is floor((K + c) / q) - 128, and bias holds c, half the layer's
 * bias and the input's zero point. The quotient has 8 bits: eight steps of a long division. */
#ifndef LE_COMPACT_H
#define LE_COMPACT_H

#include "le_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Windows as in le_windows, with the products that would have to be computed. Sizes are in inputs, which are bytes. */
typedef struct {
    uint16_t height, width, inputs; /* of the input; inputs of a pixel */
    uint16_t rows, columns, channels; /* of the output */
    int16_t first;                  /* index of the first patch's first input, 0 or less */
    uint16_t line;                  /* inputs of a row of the input */
    uint16_t next_row, across;      /* inputs from one position of the output to the one below, and to the next */
    uint16_t run, right;            /* inputs of a row of the window; from one position of the convolution to the next */
    uint8_t window_h, stride_h, pool_h, pool_w, step_h, step_w, pad_top, pad_left, patch_h, patch_w;
    int8_t padding_value; /* the input's zero point */
    uint8_t digits;
    LE_TABLE uint8_t *table;
} le_compact_conv2d;

typedef struct {
    uint16_t inputs, outputs;
    uint8_t digits;
    LE_TABLE uint8_t *table;
} le_compact_fully_connected;

/* As le_conv2d_s8 and le_fully_connected_s8, but for the clamp. Outputs are written in their order, each before its
 * position's patch is read for the next one: no row of outputs may overlap the inputs that it sees. */
void le_conv2d_compact_s8(LE_TABLE le_compact_conv2d *layer, const int8_t *input, int8_t *patch, int8_t *output);
void le_conv2d_2x2_compact_s8(LE_TABLE le_compact_conv2d *layer, const int8_t *input, int8_t *patch, int8_t *output);
void le_fully_connected_compact_s8(LE_TABLE le_compact_fully_connected *layer, const int8_t *input, int8_t *patch,
                                   int8_t *output);

/* One output: rows of `run` inputs each, the next row `stride` inputs further on. Returns the table's next byte. */
LE_TABLE uint8_t *le_sum_compact(LE_TABLE uint8_t *table, const int8_t *input, uint16_t stride, uint16_t run,
                                 uint8_t rows, int32_t *sum);

/* Reads q and bias, divides. */
int8_t le_requantize_compact(LE_TABLE uint8_t *head, int32_t sum);

#define LE_COMPACT_HEAD 5 /* bytes of q and bias */

#ifdef __cplusplus
}
#endif

#endif
