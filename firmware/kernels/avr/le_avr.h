/* Kernels for an AVR with a multiplier, of any size of flash: what their C and assembly parts share.
 *
 * MUL of two uint8 takes 2 cycles, and adding its product to 24 bits 3, since what it carries is all that the third byte
 * gets; a signed product would have to be extended. So inputs are x + 128 and weights w + 128, and
 *   sum of w x = sum of (w + 128)(x + 128) - 128 * sum of (x + 128) - 128 * sum of w:
 * the sums of inputs are the same for all outputs, so that accumulators start from them; the constant is in the bias.
 * All is modulo 2^24; the generator has proved that sum + bias itself lies within an int24.
 *
 * Of each output the tables hold, behind its weights, 7 bytes (LE_REQUANTIZE in le_avr_macros.h reads them):
 *   int24 bias; uint24 multiplier; uint8 1 where the product's scale is 2^32, 0 where it is 2^24.
 * Both are what le_kernels.h derives, with scale 2^24 where 2q < 256: there (2q)^2 < 2^16, and |n| < 256 * 2q < 2^16.
 *
 * Any other model is rounded as TFLM does it, by functions with "double" in their names. Weights may be odd, and there are
 * 10 bytes instead of 7 (le_requantize_double_avr.S):
 *   int24 bias; uint32 multiplier; uint8 factor; uint8 whole bytes to shift; uint8 zero point + 128.
 */
#ifndef LE_AVR_H
#define LE_AVR_H

#include "le_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Matrix times vector.
 * table: for each group of LE_AVR_OUTPUTS outputs, the last one filled up with zeros: for each input, of which there are
 *   a multiple of four, the outputs' weights; then for each output its bytes. */
#define LE_AVR_OUTPUTS 6
typedef struct {
    uint16_t inputs, outputs;
    LE_TABLE uint8_t *table;
} le_matrix_avr;

#define LE_AVR_PADDED(inputs) (((inputs) + 3) / 4 * 4)

/* input: int8 [inputs]; scratch: LE_AVR_PADDED(inputs) bytes. */
void le_fully_connected_avr_s8(LE_TABLE le_matrix_avr *matrix, const int8_t *input, int8_t *scratch, int8_t *output);
void le_fully_connected_double_avr_s8(LE_TABLE le_matrix_avr *matrix, const int8_t *input, int8_t *scratch,
                                      int8_t *output);

/* The same with weights of two values less than that: 2 k, k from -1 to 1, or from -8 to 7.
 *
 * Ternary: sum of k x = sum of (k + 1)(x + 128) - sum of (x + 128) - 128 * sum of k. table: for each five inputs, the last
 *   ones filled up, for each output, of which there are a multiple of four, one byte: k + 1 of the five as digits of base 3,
 *   the first the highest; then for each output its bytes. scratch: 3 * LE_AVR_PADDED(outputs) + 499 bytes.
 * Four bits: sum of k x = sum of (k + 8)(x + 128) - 8 * sum of (x + 128) - 128 * sum of k. table: as above, but for each
 *   input the outputs' k + 8 two in a byte, the first in the lower half; the inputs are a multiple of four.
 *   scratch: LE_AVR_PADDED(inputs) bytes. */
void le_fully_connected_trits_avr_s8(LE_TABLE le_matrix_avr *matrix, const int8_t *input, int8_t *scratch,
                                     int8_t *output);
void le_fully_connected_trits_double_avr_s8(LE_TABLE le_matrix_avr *matrix, const int8_t *input, int8_t *scratch,
                                            int8_t *output);
void le_fully_connected_four_avr_s8(LE_TABLE le_matrix_avr *matrix, const int8_t *input, int8_t *scratch, int8_t *output);
void le_fully_connected_four_double_avr_s8(LE_TABLE le_matrix_avr *matrix, const int8_t *input, int8_t *scratch,
                                           int8_t *output);

/* Ternary weights of few outputs, or of the convolutions below: sum of k x = sum of k (x + 128) - 128 * sum of k.
 * in_byte: 4 or 5. table: as of a matrix, but for each group and each in_byte inputs a byte of each of the six outputs, with
 *   its k for these inputs as le_conv2d_tiles_avr_s8 has two bits or trits. At most 255 * in_byte inputs.
 * groups: for in_byte and the rounding. scratch: as of the matrix, for a multiple of in_byte inputs. */
struct le_vector_avr;
typedef void le_groups_function_avr(struct le_vector_avr *vector);
void le_groups_two_avr_s8(struct le_vector_avr *vector);
void le_groups_two_double_avr_s8(struct le_vector_avr *vector);
void le_groups_trits_avr_s8(struct le_vector_avr *vector);
void le_groups_trits_double_avr_s8(struct le_vector_avr *vector);
void le_fully_connected_ternary_avr_s8(LE_TABLE le_matrix_avr *matrix, uint8_t in_byte, le_groups_function_avr *groups,
                                       const int8_t *input, int8_t *scratch, int8_t *output);

/* A convolution as one matrix times vector for each position: any kernel, stride and pooling.
 * matrix: its inputs are those of a patch [window_h][window_w][input.channels], its outputs the first of
 * windows.output.channels that `output` points to.
 * scratch: that of the matrix, then, with a pooling, the outputs of one position. */
typedef struct {
    le_windows windows;
    le_matrix_avr matrix;
} le_patches_avr;
void le_conv2d_patches_avr_s8(LE_TABLE le_patches_avr *layer, const int8_t *input, int8_t *scratch, int8_t *output);
void le_conv2d_patches_double_avr_s8(LE_TABLE le_patches_avr *layer, const int8_t *input, int8_t *scratch,
                                     int8_t *output);
void le_conv2d_patches_four_avr_s8(LE_TABLE le_patches_avr *layer, const int8_t *input, int8_t *scratch, int8_t *output);
void le_conv2d_patches_four_double_avr_s8(LE_TABLE le_patches_avr *layer, const int8_t *input, int8_t *scratch,
                                          int8_t *output);
void le_conv2d_patches_ternary_avr_s8(LE_TABLE le_patches_avr *layer, uint8_t in_byte, le_groups_function_avr *groups,
                                      const int8_t *input, int8_t *scratch, int8_t *output);

/* A depthwise convolution of one output for each input channel; with a pooling, the largest of each window.
 * table: for each channel the int8 weights [window_h][window_w], then its bytes, the bias not less any weights, since the
 * products are signed. */
typedef struct {
    le_windows windows;
    LE_TABLE uint8_t *table;
} le_depthwise_avr;

/* One position of it, or pooling window, as the assembly has it; offsets in le_depthwise_macros_avr.h. */
typedef struct {
    const int8_t *input; /* of the next channel */
    int8_t *output;
    LE_TABLE uint8_t *table;
    uint16_t channels, tap, row; /* channels to do; bytes from a tap to the next, from the end of a row to the next row */
    uint16_t across, down;       /* bytes from a position of the pooling window to the next, and to that below */
    uint8_t window_h, window_w, pool_h, pool_w;
} le_position_avr;
typedef void le_position_function_avr(le_position_avr *position); /* leaves nothing of use in *position */
void le_depthwise_avr_s8(le_position_avr *position);
void le_depthwise_double_avr_s8(le_position_avr *position);
void le_depthwise_pooled_avr_s8(le_position_avr *position);
void le_depthwise_pooled_double_avr_s8(le_position_avr *position);
void le_depthwise_3_pooled_avr_s8(le_position_avr *position); /* 3 x 3, stride 1, pooled by 2 x 2 */
void le_depthwise_3_pooled_double_avr_s8(le_position_avr *position);

/* compute: for the rounding, and for whether there is a pooling. scratch: the patch of le_depthwise_conv2d_s8. */
void le_depthwise_conv2d_avr_s8(LE_TABLE le_depthwise_avr *layer, le_position_function_avr *compute, const int8_t *input,
                                int8_t *scratch, int8_t *output);

/* Convolutions of stride 1 with a square kernel, in tiles of 2 x 2 positions: the windows of a pooling, or just tiles.
 * channels: of windows.output.channels, the first that `output` points to. input.channels is at most 255.
 * table: for each channel the weights [input.channels][window_w][window_h], then its bytes. */
typedef struct {
    le_windows windows;
    uint16_t channels;
    LE_TABLE uint8_t *table;
} le_tiles_avr;

/* One tile, as the assembly has it. Offsets are in le_avr_macros.h. */
typedef struct {
    uint8_t start[12];    /* of the accumulators, int24 [4]: the assembly's own */
    const uint8_t *patch; /* x + 128, [input.channels][column][row], (kernel + 1) squared of each channel */
    int8_t *output;       /* [channels] if pooled, else [channels][4] */
    uint16_t channels;
    uint8_t inputs, pooled;
    LE_TABLE uint8_t *table;
} le_tile_avr;
typedef void le_tile_function_avr(le_tile_avr *tile); /* leaves nothing of use in *tile */
void le_tile_1_avr_s8(le_tile_avr *tile);
void le_tile_3_avr_s8(le_tile_avr *tile);
void le_tile_5_avr_s8(le_tile_avr *tile);
void le_tile_1_double_avr_s8(le_tile_avr *tile);
void le_tile_3_double_avr_s8(le_tile_avr *tile);
void le_tile_5_double_avr_s8(le_tile_avr *tile);

/* The same for weights 2 k, several in a byte; those of each input begin with a byte. Sums are of k, and doubled at the end.
 * four bits: k + 8, from 1 to 15, two in a byte, the first in the lower half.
 * two bits: four in a byte, the first in the lowest bits; of each the lower bit is 1 where k is not 0, the upper where k is -1.
 * trits: five in a byte; it is ceil(256 v / 243), where v has the digits k modulo 3 in base 3, the first the highest.
 * Sums of x + 128 are not needed where k is -1, 0 or 1: (x + 128) k is added, and the constant is in the bias. */
void le_tile_3_four_avr_s8(le_tile_avr *tile);
void le_tile_3_four_double_avr_s8(le_tile_avr *tile);
void le_tile_3_two_avr_s8(le_tile_avr *tile);
void le_tile_3_two_double_avr_s8(le_tile_avr *tile);
void le_tile_3_trits_avr_s8(le_tile_avr *tile);
void le_tile_3_trits_double_avr_s8(le_tile_avr *tile);
void le_tile_5_four_avr_s8(le_tile_avr *tile);
void le_tile_5_four_double_avr_s8(le_tile_avr *tile);
void le_tile_5_two_avr_s8(le_tile_avr *tile);
void le_tile_5_two_double_avr_s8(le_tile_avr *tile);
void le_tile_5_trits_avr_s8(le_tile_avr *tile);
void le_tile_5_trits_double_avr_s8(le_tile_avr *tile);

/* compute: for the kernel's size and the rounding. scratch: the patch, of a whole row of tiles where there is one input channel; without
 * pooling then 4 * channels bytes. */
void le_conv2d_tiles_avr_s8(LE_TABLE le_tiles_avr *layer, le_tile_function_avr *compute, const int8_t *input,
                         int8_t *scratch, int8_t *output);

/* The same where channels see only some of the input's. table: for each channel how many it sees, 1 or more; for each of
 * these how many are left out before it, then its weights [window_w][window_h]; then the channel's bytes. In scratch each
 * channel of the patch has 12 bytes more in front of it. */
void le_tile_3_connected_avr_s8(le_tile_avr *tile);
void le_tile_5_connected_avr_s8(le_tile_avr *tile);
void le_tile_3_connected_double_avr_s8(le_tile_avr *tile);
void le_tile_5_connected_double_avr_s8(le_tile_avr *tile);
void le_conv2d_connected_avr_s8(LE_TABLE le_tiles_avr *layer, le_tile_function_avr *compute, const int8_t *input,
                                int8_t *scratch, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
