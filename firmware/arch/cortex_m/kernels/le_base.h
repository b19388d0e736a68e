/* Kernels for Cortex-M without the DSP extension (M0, M0+, M3): what their C and assembly parts share.
 *
 * Activations are unsigned here: u = x + 128, from 0 to 255, since LDRB takes an offset and LDRSB on an M0 does not.
 * Weights are halved: on the tie-free grid all are even, so that h = w / 2 is from -63 to 63. The sum H of the products
 * h u is half of the sum that the model means, and n = 2 H + bias is odd, so that the output is floor(K / q) - 128 with
 * K = H + (bias - 1) / 2 + ..., all constants being in one `offset` of the table.
 *
 * Lanes: one MUL does two output channels a and b. The word h_a + 65536 h_b times u has both products, and a chunk, the
 * taps of one row of the kernel in one input channel, is summed as one word. Each lane begins with 255 times the sum of
 * its negative weights' sizes, so that it stays from 0 to 65,535 if 255 * sum |h| does: the generator proves that of each
 * chunk, and the two lanes come apart by UXTH and LSR without a borrow.
 *
 * Requantisation: limit = 256 q; K below 0 gives 0, K from the limit on 255; else t = K floor(2^18 / q) >> 18 is
 * floor(K / q) or one less (K / 2^18 < 1 since q < 1024), and the remainder K - t q says which. No product has more than
 * 26 bits. */
#ifndef LE_BASE_H
#define LE_BASE_H

#include "le_kernels.h"

/* Matrix times vector.
 * table: for each group of LE_BASE_OUTPUTS outputs, the last one filled up with zeros: for each input their weights as
 *   h + 64, one byte each; then for each of its outputs offset, limit, floor(2^18 / q), q.
 * steps: of four inputs, the last one filled up with zeros. */
#define LE_BASE_OUTPUTS 8
typedef struct {
    uint16_t inputs, outputs, steps;
    LE_TABLE uint32_t *table;
} le_base_matrix;

/* input: int8 [inputs]; scratch: 4 * steps bytes. */
void le_fully_connected_base(LE_TABLE le_base_matrix *matrix, const int8_t *input, int8_t *scratch, int8_t *output);

/* A convolution as one matrix times vector for each position: any kernel, stride and pooling.
 * matrix: inputs are those of a patch [kernel_h][kernel_w][input.channels]. scratch: the matrix's, then the patch, then
 * the outputs of one position; offsets in bytes are multiples of 4. */
typedef struct {
    le_windows windows;
    le_base_matrix matrix;
    uint16_t patch_offset, outputs_offset;
} le_base_patches;
void le_conv2d_patches_base(LE_TABLE le_base_patches *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* Convolutions of stride 1 with kernel 1 x 1, 3 x 3 or 5 x 5, in tiles of 2 x 2 positions: the windows of a pooling, or
 * just tiles. A strip, in scratch, is what `strip_tiles` tiles side by side see, as u: [input channel][kernel_h + 1 rows]
 * [column]; then, without pooling, the outputs of a tile as four planes [channel], `plane` bytes apart.
 * table: in le_tile_base.S. weights_bytes: of a pair of output channels in it. pooled: 1, or 0 for no pooling. */
typedef struct {
    le_windows windows;
    uint16_t strip_tiles, weights_bytes, plane;
    uint8_t pooled;
    LE_TABLE uint32_t *table;
} le_base_tiles;
void le_conv2d_tiles_base(LE_TABLE le_base_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output);

#endif
