/* Kernels for scalar processors with a 32-bit multiplication (Cortex-M0, M0+ and M3, RISC-V): what their C and assembly
 * parts share. A tile and a group of the matrix are in assembly, le_tile_*.S and le_matrix_*.S.
 *
 * Activations are unsigned here: u = x + 128, from 0 to 255.
 * Weights are halved: on the tie-free grid all are even, so that h = w / 2 is from -63 to 63. The sum H of the products
 * h u is half of the sum that the model means, and n = 2 H + bias is odd, so that the output is floor(K / q) - 128 with
 * K = H + (bias - 1) / 2 + ..., all constants being in one `offset` of the table.
 *
 * Lanes: one MUL does two output channels a and b. The word h_a + 65536 h_b times u has both products, and a chunk, the
 * taps of one row of the kernel in one input channel, is summed as one word. Each lane begins with 255 times the sum of
 * its negative weights' sizes, so that it ends from 0 to 65,535 if 255 * sum |h| does: the generator proves that of each
 * chunk. The lanes of the chunks are summed as S = sum of the words (modulo 2^32) and B = sum of their upper halves; then
 * the sum of the lower lanes is S - 65536 B, which is exact modulo 2^32.
 *
 * Requantisation: limit = 256 q; K below 0 gives 0, K from the limit on 255; else t = K floor(2^18 / q) >> 18 is
 * floor(K / q) or one less (K / 2^18 < 1 since q < 1024), and the remainder K - t q says which. No product has more than
 * 26 bits.
 *
 * TFLM's requantisation (le_requantize_double.c), for models off the grid: the weights are whole, w = h, from -128 to 127,
 * and the sum plus `bias` is TFLM's accumulator, below 2^29. With x = (sum + bias) multiplier + 2^30 >> 31 the output is
 * (x + 2^(shift - 1) + (x >> 31) >> shift) + zero point, between the smallest and the largest one: rounded half away from
 * zero, since x >> 31 takes 1 off where x is negative. shift is from 1 to 31, so that x + 2^(shift - 1) is below 2^31. A
 * channel has two words, multiplier and the bytes shift, zero point, smallest and largest output, these three + 128. */
#ifndef LE_LANES_H
#define LE_LANES_H

#include "le_kernels.h"

/* Matrix times vector.
 * table: for each group of LE_LANES_OUTPUTS outputs, the last one filled up with zeros: for each input their weights as
 *   h + 64, one byte each; then for each of its outputs offset, limit, floor(2^18 / q), q.
 * steps: of four inputs, the last one filled up with zeros. */
#define LE_LANES_OUTPUTS 8
typedef struct {
    uint16_t inputs, outputs, steps;
    LE_TABLE uint32_t *table;
} le_lanes_matrix;

/* input: int8 [inputs]; scratch: 4 * steps bytes. */
void le_fully_connected_lanes_s8(LE_TABLE le_lanes_matrix *matrix, const int8_t *input, int8_t *scratch, int8_t *output);

/* The same with TFLM's requantisation: in the table w + 128, and for each output its bias and the two words. */
void le_fully_connected_double_lanes_s8(LE_TABLE le_lanes_matrix *matrix, const int8_t *input, int8_t *scratch,
                                        int8_t *output);

/* A convolution as one matrix times vector for each position: any kernel, stride and pooling.
 * matrix: inputs are those of a patch [window_h][window_w][input.channels]. scratch: the matrix's, then the patch, then
 * the outputs of one position; offsets in bytes are multiples of 4. */
typedef struct {
    le_windows windows;
    le_lanes_matrix matrix;
    uint16_t patch_offset, outputs_offset;
} le_lanes_patches;
void le_conv2d_patches_lanes_s8(LE_TABLE le_lanes_patches *layer, const int8_t *input, int8_t *scratch, int8_t *output);
void le_conv2d_patches_double_lanes_s8(LE_TABLE le_lanes_patches *layer, const int8_t *input, int8_t *scratch,
                                       int8_t *output);

/* Convolutions of stride 1 with kernel 1 x 1, 3 x 3 or 5 x 5, in tiles of 2 x 2 positions: the windows of a pooling, or
 * just tiles. A strip, in scratch, is what `strip_tiles` tiles side by side see, as u: [input channel][window_h + 1 rows]
 * [column]; then, without pooling, the outputs of a tile as four planes [channel], `plane` bytes apart.
 * table: for each pair of output channels their two offsets; for each input channel and row of
 * the kernel the words of the taps with the beginning of the lanes among them (after the first tap of 1, the second of 3 or
 * 5); then for each of the two limit, floor(2^18 / q), q. weights_bytes: of a pair of output channels in it. pooled: 1, or 0 for no pooling. */
typedef struct {
    le_windows windows;
    uint16_t strip_tiles, weights_bytes, plane;
    uint8_t pooled;
    LE_TABLE uint32_t *table;
} le_lanes_tiles;
void le_conv2d_tiles_lanes_s8(LE_TABLE le_lanes_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* The same where output channels see only some of the input: pairs of any two of them, which read a run of channels.
 * pairs: for each its first channel and how many, and both outputs; the run may go on at the beginning, so that the strip
 * has the first `repeated` channels once more behind the last. count: of pairs.
 * tiles: its table has a pair's weights for the channels of its run only; weights_bytes are those of one channel, plane is
 * not used. Behind the strip are the outputs of a pair and tile, 8 bytes. */
#define LE_LANES_PAIR_WORDS 8 /* of a pair in the table besides weights */
typedef struct {
    le_lanes_tiles tiles;
    uint8_t repeated, count;
    LE_TABLE uint8_t *pairs;
} le_lanes_connected;
void le_conv2d_connected_lanes_s8(LE_TABLE le_lanes_connected *layer, const int8_t *input, int8_t *scratch,
                                  int8_t *output);

/* Depthwise convolutions, an output for each input channel: any window, stride and pooling. A strip, in scratch, is what
 * strip_rows rows of the output see of one channel, as u, with the padding around it: [row][strip_columns].
 * table: for each channel its weights h, int8 [window_h][window_w], the last word filled up with zeros; then offset, limit
 * and reciprocal; channel_words of all. With TFLM's requantisation the weights are w, and behind them are the bias and the
 * two words.
 *
 * reciprocal = floor(2^28 / q) + 1 is at most 1 more than 2^28 / q, so that K reciprocal / 2^28 is above K / q by less than
 * 2^-10, as K < 2^18, and 1 / q to the next integer is more: its floor is that of K / q. It comes as (K r1 + (K r0 >> 14)) >>
 * 14 with the upper bits r1 and the lower 14 bits r0, or as the upper word of K (16 reciprocal); no product has over 32 bits. */
typedef struct {
    le_windows windows;
    uint16_t strip_rows, strip_columns, channel_words;
    LE_TABLE uint32_t *table;
} le_lanes_depthwise;
void le_depthwise_conv2d_lanes_s8(LE_TABLE le_lanes_depthwise *layer, const int8_t *input, int8_t *scratch,
                                  int8_t *output);
void le_depthwise_conv2d_double_lanes_s8(LE_TABLE le_lanes_depthwise *layer, const int8_t *input, int8_t *scratch,
                                         int8_t *output);

/* The same for windows of 3 x 3 without pooling. */
void le_depthwise_conv2d_3_lanes_s8(LE_TABLE le_lanes_depthwise *layer, const int8_t *input, int8_t *scratch,
                                    int8_t *output);
void le_depthwise_conv2d_3_double_lanes_s8(LE_TABLE le_lanes_depthwise *layer, const int8_t *input, int8_t *scratch,
                                           int8_t *output);

/* Convolutions of any window, stride and pooling, two positions at a time. What they see, in scratch, is words:
 * [taps][2 positions]; then, of a pooling, the outputs of two positions. x = u - 128 is left signed here, and a lane is
 * too: the word of a chunk, plus half a lane, is 65536 b + a with a from 0 to 65,535 and b from -32,768 to 32,767.
 * table: for each pair of output channels the taps of a chunk, 2, 4 or 8, as many as the generator proves to fit; for
 * each tap the word h_a + 65536 h_b; then for each of the two offset, limit, and floor(2^28 / q) + 1 in two parts, the
 * upper bits and the lower 14; for RISC-V floor(2^32 / q) + 1 as a whole. K times it, less the 28 or 32 bits, is
 * floor(K / q): the error is below K / 2^28 and that below 1 / q, as K < 2^18 and q < 1024; K times 14 bits is below 2^32.
 * taps: of the patch, up to a multiple of 4, or of 8 where a chunk has 8; what is beyond the patch has weights of zero.
 * TFLM's requantisation: the words have w; for each channel bias, both halves of the multiplier, the upper one first,
 * shift; for RISC-V bias, multiplier, shift - 1. The other one does not use zero_point, clamp_min, clamp_max. */
typedef struct {
    le_windows windows;
    uint16_t taps;
    int8_t zero_point, clamp_min, clamp_max;
    LE_TABLE uint32_t *table;
} le_lanes_positions;
void le_conv2d_positions_lanes_s8(LE_TABLE le_lanes_positions *layer, const int8_t *input, int8_t *scratch, int8_t *output);
void le_conv2d_positions_double_lanes_s8(LE_TABLE le_lanes_positions *layer, const int8_t *input, int8_t *scratch,
                                         int8_t *output);

#endif
