/* Kernels for Cortex-M with the DSP extension (M4, M7, M33): what their C and assembly parts share.
 *
 * SMLAD multiplies two pairs of int16 and adds both products to an accumulator, so that every kernel begins by widening
 * int8 activations to pairs: of the two rows above each other, or of two channels. Sums are of raw integers; the bias
 * has the zero points in it, and n = sum + bias becomes the output as le_kernels.h says: SMMUL, SSAT. A function with
 * "double" in its name takes the tables of a layer off the tie-free grid; le_requantize_dsp.h has their rounding.
 *
 * "pairs order": the channels, or inputs, c to c + 3 lie as (c, c + 2), (c + 1, c + 3), which is what SXTB16 makes of
 * four bytes; one to three that are left as (c, c + 1), (c + 2, 0). The first of a pair is the lower half of its word.
 */
#ifndef LE_DSP_H
#define LE_DSP_H

#define LE_DSP_OUTPUTS 6 /* of le_matrix_dsp.S at a time */

/* Unrolled loops are entered in their midst, so that C and assembly have to agree on the size of their code. */
#define LE_DSP_STEPS 5       /* of le_matrix_dsp.S between two branches */
#define LE_DSP_STEP_BYTES 84 /* of the code of one */
#define LE_DSP_FOLD_BYTES 1000 /* of pairs: whole rounds of that loop, 500 inputs, 500 * 128 * 128 < 2^23 */
#define LE_DSP_CELLS 3       /* of le_conv2d_pairs_dsp.S between two branches */
#define LE_DSP_CELL_BYTES 44 /* of the code of one, times the window's rows */
#define LE_DSP_WINDOW_STEPS 3 /* of le_depthwise_dsp.S between two branches: a 3 x 3 is 3 of them */
#define LE_DSP_WINDOW_STEP_BYTES 16 /* of the code of one */
#define LE_DSP_BLOCK_STEPS 5 /* of le_positions_dsp.h between two branches */
#define LE_DSP_STEP_3_BYTES 68 /* of the code of one, for three positions and for four */
#define LE_DSP_STEP_4_BYTES 96
#define LE_DSP_FEW_CHANNELS 4 /* of le_few_inputs_dsp.S between two branches */
#define LE_DSP_FEW_POINT 11   /* bits behind the point of "point" */
#define LE_DSP_POINT 16 /* bits behind the point, where it requantises what is above the zero point */

#ifndef __ASSEMBLER__

#include "le_kernels.h"

#ifndef __ARM_FEATURE_DSP /* Arm C Language Extensions: defined where the target has SMLAD and its like */
#error "kernels for Cortex-M with the DSP extension: export the model with --kernels plain for other processors"
#endif

/* Matrix times vector.
 * table: for each group of LE_DSP_OUTPUTS outputs, the last one filled up with zeros: for each pair of inputs in pairs
 *   order three words, word i having outputs 2i and 2i + 1: low byte of each half a, high byte b - (a < 0), so that the
 *   half is 256 b + a; then for each of its outputs bias and multiplier; with TFLM's rounding bias, doubled, multiplier,
 *   addend and shift.
 * steps: of four inputs, the last one filled up with zeros. */
typedef struct {
    uint16_t inputs, outputs, steps;
    LE_TABLE uint32_t *table;
} le_dsp_matrix;

/* Words of scratch that `inputs` take. */
#define LE_DSP_WORDS(inputs) (2 * (((inputs) + 3) / 4))

/* input: int8 [inputs]; scratch: LE_DSP_WORDS(inputs) words. */
void le_fully_connected_dsp_s8(LE_TABLE le_dsp_matrix *matrix, const int8_t *input, int8_t *scratch, int8_t *output);
void le_fully_connected_double_dsp_s8(LE_TABLE le_dsp_matrix *matrix, const int8_t *input, int8_t *scratch,
                                      int8_t *output);

/* The same where the sum of an odd output reaches 2^23: of many inputs. */
void le_fully_connected_wide_dsp_s8(LE_TABLE le_dsp_matrix *matrix, const int8_t *input, int8_t *scratch, int8_t *output);
void le_fully_connected_wide_double_dsp_s8(LE_TABLE le_dsp_matrix *matrix, const int8_t *input, int8_t *scratch,
                                           int8_t *output);

/* A convolution as one matrix times vector for each position: any kernel, stride and pooling.
 * matrix: inputs are those of a patch [window_h][window_w][input.channels]. scratch: the matrix's, then the patch, then
 * the outputs of one position; offsets in bytes are multiples of 4. */
typedef struct {
    le_windows windows;
    le_dsp_matrix matrix;
    uint16_t patch_offset, outputs_offset;
} le_dsp_patches;
void le_conv2d_patches_dsp_s8(LE_TABLE le_dsp_patches *layer, const int8_t *input, int8_t *scratch, int8_t *output);
void le_conv2d_patches_double_dsp_s8(LE_TABLE le_dsp_patches *layer, const int8_t *input, int8_t *scratch,
                                     int8_t *output);
void le_conv2d_patches_wide_dsp_s8(LE_TABLE le_dsp_patches *layer, const int8_t *input, int8_t *scratch, int8_t *output);
void le_conv2d_patches_wide_double_dsp_s8(LE_TABLE le_dsp_patches *layer, const int8_t *input, int8_t *scratch,
                                          int8_t *output);

/* What le_positions_dsp.h gets: the outputs of the first position, and from one to the next; the strip; bytes of code to
 * leave out the first time. */
typedef struct {
    int8_t *output_end;
    uint32_t stride;
    int8_t *output;
    const uint32_t *x;
    uint32_t skipped_bytes;
    const uint32_t *x_end;
    LE_TABLE uint32_t *table;
} le_dsp_block;

/* One block, all pairs of channels; three positions, or the largest sums of four. */
typedef void le_dsp_positions_function(const le_dsp_block *block);
le_dsp_positions_function le_positions_3_tie_free_dsp_s8, le_positions_3_above_dsp_s8, le_positions_3_double_dsp_s8;
le_dsp_positions_function le_positions_4_tie_free_dsp_s8, le_positions_4_above_dsp_s8, le_positions_4_double_dsp_s8;

/* Steps of four bytes of each position, next to each other; returns what follows. */
typedef uint32_t *le_dsp_widen(const int8_t *const from[], uint32_t steps, uint32_t *to);
le_dsp_widen le_widen_3_dsp_s8, le_widen_4_dsp_s8;

/* The same of several rows, which are so many bytes behind each other. */
typedef uint32_t *le_dsp_widen_rows(const int8_t *const from[], uint32_t steps, uint32_t *to, uint32_t rows, ptrdiff_t apart);
le_dsp_widen_rows le_widen_rows_3_dsp_s8;

/* A convolution as a matrix, several positions at a time: any window and stride, no pooling or one of 2 x 2.
 * steps: of four inputs, of a patch [window_h][window_w][input.channels]. positions: 3, or 4 with a pooling.
 * block and widen: for as many positions. Table: in le_positions_dsp.h. scratch: in le_conv2d_positions_dsp.c. */
typedef struct {
    le_windows windows;
    uint16_t steps;
    uint8_t positions;
    LE_TABLE uint32_t *table;
    le_dsp_positions_function *block;
    le_dsp_widen *widen;
    le_dsp_widen_rows *widen_rows; /* of three positions */
} le_dsp_positions;
#define LE_DSP_BY_ROWS(row_bytes, window_h) ((row_bytes) % 4 == 0 && ((window_h) == 1 || (row_bytes) >= 16))
/* Else where rows that are filled up to whole words have no more of them than the window: what is behind a row has weights
 * that are zero. */
#define LE_DSP_FILLED_ROWS(row_bytes, window_h) \
    ((window_h) * (((row_bytes) + 3) / 4) == ((window_h) * (row_bytes) + 3) / 4)
void le_conv2d_positions_dsp_s8(LE_TABLE le_dsp_positions *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* Outputs that see 4, 8, 12 or 16 inputs: a convolution 1 x 1, or a matrix that has one position. Table: in
 * le_few_inputs_dsp.S. skipped: channels that the last LE_DSP_FEW_CHANNELS have less. scratch: none. */
typedef struct {
    uint32_t input_bytes; /* of all positions */
    LE_TABLE uint32_t *table_end, *table;
    uint32_t skipped;
} le_dsp_few;
typedef void le_dsp_few_function(LE_TABLE le_dsp_few *layer, const int8_t *input, int8_t *scratch, int8_t *output);
le_dsp_few_function le_few_4_point_dsp_s8, le_few_4_double_dsp_s8, le_few_8_point_dsp_s8, le_few_8_double_dsp_s8;
le_dsp_few_function le_few_12_point_dsp_s8, le_few_12_double_dsp_s8, le_few_16_point_dsp_s8, le_few_16_double_dsp_s8;

/* A small matrix times a vector: an even number of outputs, whole eights of inputs. Table: in le_small_matrix_dsp.S.
 * scratch: LE_DSP_WORDS(inputs) words. */
typedef struct {
    uint32_t inputs;
    LE_TABLE uint32_t *table_end, *table;
} le_dsp_small;
void le_small_matrix_point_dsp_s8(LE_TABLE le_dsp_small *matrix, const int8_t *input, int8_t *scratch, int8_t *output);
void le_small_matrix_double_dsp_s8(LE_TABLE le_dsp_small *matrix, const int8_t *input, int8_t *scratch, int8_t *output);

/* Windows of 3 x 3 on one channel that are next to each other: where the first begins, and one behind the last; four
 * bytes are read of each of the three rows. */
typedef struct {
    const int8_t *x, *x_end;
    LE_TABLE uint32_t *table_end, *table;
    uint32_t skipped, pitch, step;
    int8_t *output;
} le_dsp_nine_row;
typedef int8_t *le_dsp_nine_function(const le_dsp_nine_row *row); /* what follows the outputs */
le_dsp_nine_function le_nine_point_dsp_s8, le_nine_double_dsp_s8;

/* A convolution 3 x 3 on one channel, any stride and padding, no pooling.
 * rows: of the output that are computed from one strip, which is a copy of what they see of the input, with its padding, in
 *   scratch; 0: from the input itself. pitch: bytes of a row there. */
typedef struct {
    le_windows windows;
    uint16_t rows, pitch;
    LE_TABLE uint32_t *table_end, *table;
    uint32_t skipped;
    le_dsp_nine_function *row;
} le_dsp_nine;
void le_conv2d_nine_dsp_s8(LE_TABLE le_dsp_nine *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* Convolutions of stride 1 with a square kernel, in tiles of 2 x 2 positions: the windows of a pooling, or just tiles.
 * A strip, in scratch, is the window_h + 1 rows of input that a row of tiles sees.
 * groups: of channels, the last one filled up with zeros. pooled: 1, or 0 for no pooling. */
typedef struct {
    le_windows windows;
    uint16_t groups;
    uint8_t pooled;
    LE_TABLE uint32_t *table;
} le_dsp_tiles;

/* One channel in, kernel 5 x 5. Table: in le_conv2d_one_dsp.S. */
void le_conv2d_one_dsp_s8(LE_TABLE le_dsp_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output);
void le_conv2d_one_double_dsp_s8(LE_TABLE le_dsp_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* Two or more channels in, kernel 1 x 1, 3 x 3 or 5 x 5. Table: in le_conv2d_pairs_dsp.S. */
void le_conv2d_pairs_dsp_s8(LE_TABLE le_dsp_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output);
void le_conv2d_pairs_double_dsp_s8(LE_TABLE le_dsp_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* Two or more channels in, kernel 5 x 5, stride 1, pooled by 2 x 2, with fewer products: le_conv2d_nested_dsp.S has the
 * algorithm and the table. strip: windows of the pooling at most that are computed from one strip. */
typedef struct {
    le_windows windows;
    uint16_t groups, strip;
    LE_TABLE uint32_t *table;
} le_dsp_nested;
void le_conv2d_nested_dsp_s8(LE_TABLE le_dsp_nested *layer, const int8_t *input, int8_t *scratch, int8_t *output);
void le_conv2d_nested_double_dsp_s8(LE_TABLE le_dsp_nested *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* Depthwise, one output channel for each of the input; any window, stride and pooling.
 * rows: of positions that a strip serves: 2 for windows with an odd number of rows at stride 1, else 1. Maps and windows that are one
 *   pixel wide are given as if they were one pixel high.
 * table: for each channel bias and multiplier, with TFLM's rounding the doubled bias, multiplier, addend and shift; then
 *   the taps, [column][pair of rows], two words in one as SXTB16 takes them apart: the first in bytes 0 and 2, the next in
 *   bytes 1 and 3; the last one may be filled up with zeros. */
typedef struct {
    le_windows windows;
    uint8_t rows;
    LE_TABLE uint32_t *table;
} le_dsp_depthwise;
void le_depthwise_conv2d_dsp_s8(LE_TABLE le_dsp_depthwise *layer, const int8_t *input, int8_t *scratch, int8_t *output);
void le_depthwise_conv2d_double_dsp_s8(LE_TABLE le_dsp_depthwise *layer, const int8_t *input, int8_t *scratch,
                                       int8_t *output);

/* The same for windows of 3 x 3 and at least four channels: stride 1, stride 2, and stride 1 pooled by 2 x 2. */
typedef void le_dsp_depthwise_3x3(LE_TABLE le_dsp_depthwise *layer, const int8_t *input, int8_t *scratch, int8_t *output);
le_dsp_depthwise_3x3 le_depthwise_3x3_dsp_s8, le_depthwise_3x3_stride_2_dsp_s8, le_depthwise_3x3_pooled_dsp_s8;
le_dsp_depthwise_3x3 le_depthwise_3x3_double_dsp_s8, le_depthwise_3x3_stride_2_double_dsp_s8,
    le_depthwise_3x3_pooled_double_dsp_s8;

#define LE_DSP_HEAD 2 /* words in front of a channel's taps */
#define LE_DSP_DOUBLE_HEAD 4

/* Tiles that cover so many positions of the output. */
size_t le_tiles_dsp(LE_TABLE le_dsp_tiles *layer, size_t positions);

/* Without pooling the four positions of a row of tiles go to four planes [tile][channel] in scratch, of so many bytes: a
 * group of channels writes up to three over the end. */
#define LE_DSP_PLANE(tiles, channels) (((tiles) * (channels) + 6) / 4 * 4)

/* The planes of one row of tiles to where they belong; the last tile, and row, may be half outside. */
void le_interleave_dsp_s8(LE_TABLE le_dsp_tiles *layer, const int8_t *planes, size_t plane, size_t row, int8_t *output);

static inline uint32_t le_sxtb16(uint32_t bytes)
{
    uint32_t halves;
    __asm__("sxtb16 %0, %1" : "=r"(halves) : "r"(bytes));
    return halves;
}

static inline uint32_t le_sxtb16_ror8(uint32_t bytes)
{
    uint32_t halves;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(bytes));
    return halves;
}

static inline uint32_t le_ssub16(uint32_t a, uint32_t b)
{
    uint32_t difference;
    __asm__("ssub16 %0, %1, %2" : "=r"(difference) : "r"(a), "r"(b));
    return difference;
}

static inline uint32_t le_sadd16(uint32_t a, uint32_t b)
{
    uint32_t sum;
    __asm__("sadd16 %0, %1, %2" : "=r"(sum) : "r"(a), "r"(b));
    return sum;
}

/* (low half of low, low half of high) */
static inline uint32_t le_pkhbt(uint32_t low, uint32_t high)
{
    uint32_t pair;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(low), "r"(high));
    return pair;
}

/* (high half of low, high half of high) */
static inline uint32_t le_pkhtb(uint32_t low, uint32_t high)
{
    uint32_t pair;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(pair) : "r"(high), "r"(low));
    return pair;
}

/* Four bytes from any address. */
static inline uint32_t le_four_bytes(const int8_t *from)
{
    uint32_t bytes;
    __builtin_memcpy(&bytes, from, 4);
    return bytes;
}

/* count int8 to LE_DSP_WORDS(count) or one less words in pairs order; returns what follows them. */
uint32_t *le_pairs_dsp_s8(const int8_t *from, size_t count, uint32_t *to);

#endif /* __ASSEMBLER__ */

#endif
