/* Kernels for Cortex-M with MVE (Helium; M55): what their C and assembly parts share.
 *
 * VMLADAVA.S8 adds 16 products of int8 to a 32-bit register, of which only the even ones, r0 to lr, can be that. Sums
 * are of raw integers; the bias has the zero points in it. How n = sum + bias becomes the output is in
 * le_requantize_mve.h: what a channel needs for that, its requantization, is 2 words on the tie-free grid, else 3.
 *
 * What the even registers hold goes to vectors of four outputs, A and B: VQMOVNT puts B's int16 next to A's, so that
 * eight outputs are stored at once, in the order A0, B0, A1, B1, ... */
#ifndef LE_MVE_H
#define LE_MVE_H

#include "le_kernels.h"

/* Matrix times vector. Table: in le_matrix_mve.h. Nothing beyond input and output is read or written. */
typedef struct {
    uint16_t inputs, outputs;
    LE_TABLE uint32_t *table;
} le_mve_matrix;
void le_fully_connected_mve_s8(LE_TABLE le_mve_matrix *matrix, const int8_t *input, int8_t *output);

/* A convolution as one matrix times vector for each position: any kernel, stride and pooling.
 * matrix: inputs are those of a patch [window_h][window_w][input.channels]. scratch: the patch, then, at the offset,
 * the outputs of one position. */
typedef struct {
    le_windows windows;
    le_mve_matrix matrix;
    uint16_t outputs_offset;
} le_mve_patches;
void le_conv2d_patches_mve_s8(LE_TABLE le_mve_patches *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* Convolution 5 x 5 of one input channel with stride 1 and a pooling of 2 x 2: 4 to 16 windows a row, input
 * up to 32 wide.
 * table: in le_one_row_mve.h; bands_apart: in scratch, in bytes. */
typedef struct {
    le_windows windows;
    LE_TABLE uint32_t *table;
    uint16_t bands_apart;
} le_mve_one;
typedef struct {
    uint32_t put; /* from where a band begins to where it gets the next but one row of the input */
    int8_t *upper, *lower; /* where the bands get the next one */
    const int8_t *line; /* of the input, the next one, and its number; the last number */
    int32_t y, y_end;
    uint32_t width, height;
    uint32_t last, last_column; /* from the first 16 pixels of a row to the last 16, and in a band */
    const int8_t *padding; /* a row of it */
    int32_t padding_value;
    int32_t *sums;
    LE_TABLE uint32_t *table;
    int8_t *output;
    uint32_t channels, pairs; /* pairs of windows in a row */
} le_mve_rows; /* le_one_row_mve.h has the offsets of its members */
void le_conv2d_one_mve_s8(LE_TABLE le_mve_one *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* Convolution 5 x 5 with stride 1 and a pooling of 2 x 2, where no window hangs over the edge: one output channel at a
 * time, in strips of five rows of windows, of which the last may overlap the one before it.
 *
 * channels: the loop, LE_COLUMNS_MVE() of le_columns_mve.h for the layer's sizes. table: for each output channel what
 *   le_columns_mve.h says, then its requantization.
 * strips; last_strip: the first row of windows of the last one.
 * offsets: uint16 as words, where in the output of a strip and channel its windows belong. Their sums are in the order
 *   [column][row], of the rows 4, 0, 1, 2, 3. First [whole_eights][8], in the order A0, B0, A1, B1, ...; then
 *   [fours][4], which begin `back` bytes of sums before those behind the eights. odd_columns: where the sums of odd
 *   columns begin, in bytes. */
typedef struct {
    const int8_t *input;
    int32_t *even, *odd;
    uint32_t pairs;
    int8_t *output;
    uint32_t channels;
    LE_TABLE uint32_t *offsets;
    uint32_t fours, back, whole_eights;
    void (*outputs)(void);
    LE_TABLE uint32_t *table;
} le_mve_strip; /* le_columns_mve.h and le_columns_outputs_mve.h have the offsets of its members */
typedef void le_channels_mve(le_mve_strip *strip);
typedef struct {
    le_windows windows;
    le_channels_mve *channels;
    LE_TABLE uint32_t *table;
    uint16_t strips, last_strip;
    LE_TABLE uint32_t *offsets;
    uint16_t whole_eights, fours, back, odd_columns;
} le_mve_columns;
void le_conv2d_columns_mve_s8(LE_TABLE le_mve_columns *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* A depthwise convolution, each channel by itself: any window, stride, pooling and number of channels. An assembly function
 * computes the channels of a position, from a list of the addresses of the pixels that its window sees.
 *
 * several: the same for at_once positions next to each other, whose channels lie side by side, at most 16; 1 of them with
 * pooling, strides across, or many channels. taps: of the window; table: in le_depthwise_3x3_mve.h and le_depthwise_mve.h. scratch: four lists of words, each
 * filled up to fours; then, at the offsets, a pixel of padding and, with pooling, the outputs of one position. */
typedef struct {
    LE_TABLE uint32_t *table;
    uint16_t channels, taps;
} le_mve_taps;
typedef void le_multiply_taps_mve(LE_TABLE le_mve_taps *layer, const uint32_t *taps, int8_t *output);
le_multiply_taps_mve le_depthwise_3x3_nine_mve_s8, le_depthwise_3x3_mve_s8, le_depthwise_mve_s8;
typedef struct {
    le_windows windows;
    le_mve_taps taps, several;
    le_multiply_taps_mve *multiply;
    uint16_t padding_offset, outputs_offset;
    uint8_t at_once;
} le_mve_depthwise;
void le_depthwise_conv2d_mve_s8(LE_TABLE le_mve_depthwise *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* Any convolution, two positions at a time.
 *
 * matrix: of a position's inputs [window_w][window_h][input.channels], in vectors of 16; table: in le_pairs_mve.h.
 * block: how far apart things are in memory, in bytes: inputs and outputs of the two positions, and of one pair and the
 *   next.
 * multiply: the outputs of pairs of positions, with the rounding that the layer needs.
 * strip: positions of a row that are computed from one band; 0: the input has one row, of which only the last positions,
 * `tail` of them, are copied.
 * rows: of them at once, 1 or 2. band_bytes: of one row's band. spread: bytes of input that are put into the band at
 * once, whole pixels; 0: pixel by pixel. slides: there is one band, which holds all columns and moves on by bytes; then a
 * band has a column more in front. scratch: a band for each row, then, if there is pooling, outputs of a strip. */
typedef struct {
    uint16_t vectors, outputs;
    LE_TABLE uint32_t *table;
    int16_t zero_point;
} le_mve_pair_matrix;
typedef struct {
    int32_t inputs_apart, input_step, outputs_apart, output_step;
    uint32_t pairs;
} le_mve_pair_block;
typedef void le_multiply_pairs_mve(LE_TABLE le_mve_pair_matrix *matrix, const le_mve_pair_block *block,
                                   const int8_t *input, int8_t *output);
le_multiply_pairs_mve le_pairs_mve_s8, le_pairs_up_mve_s8;
typedef struct {
    le_windows windows;
    le_mve_pair_matrix matrix;
    le_multiply_pairs_mve *multiply;
    uint16_t strip, band_bytes;
    uint8_t rows, spread, slides, tail;
} le_mve_pairs;
void le_conv2d_pairs_mve_s8(LE_TABLE le_mve_pairs *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* A convolution with 16 inputs at most for each output, four positions at a time.
 *
 * matrix: of a position's inputs, [window_h][window_w][input.channels]; table: in le_few_mve.h.
 * block: `quads` of four positions, from the beginning of a row on, whose width is four at least, or 0 if there is but
 *   one. Those behind the number `last` of a quad are the last again. jump: from where a row would go on to the next one.
 * multiply: the outputs of a block, with the rounding that the layer needs.
 * rows, columns: of the output, at once. pitch: bytes of a row of the copy of what they see; 0: the input is read where it
 *   lies. scratch: the copy, then, if there is pooling, as many outputs. */
typedef struct {
    uint16_t outputs;
    LE_TABLE uint32_t *table;
} le_mve_few_matrix;
typedef struct {
    const int8_t *input;
    int32_t step;
    uint32_t last;
    int32_t width, jump;
    uint32_t quads;
    int8_t *output;
} le_mve_few_block; /* le_few_mve.h knows the order of its members */
typedef void le_multiply_few_mve(LE_TABLE le_mve_few_matrix *matrix, const le_mve_few_block *block);
le_multiply_few_mve le_few_mve_s8, le_few_up_mve_s8;
void le_few_copy_mve_s8(const int8_t *from, int8_t *to, uint32_t bytes, uint32_t rows, uint32_t from_step,
                        uint32_t to_step);
void le_few_fill_mve_s8(int8_t *to, uint32_t bytes, int8_t value);
typedef struct {
    le_windows windows;
    le_mve_few_matrix matrix;
    le_multiply_few_mve *multiply;
    uint16_t rows, columns, pitch, outputs_offset;
} le_mve_few;
void le_conv2d_few_mve_s8(LE_TABLE le_mve_few *layer, const int8_t *input, int8_t *scratch, int8_t *output);

#endif
