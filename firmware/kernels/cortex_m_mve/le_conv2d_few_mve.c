/* A convolution with 16 inputs at most for each output, four positions at a time (le_few_mve.h).
 *
 * One gather loads what a position sees, from where it lies in the input, if nothing is padded and offsets of 8 bits
 * reach all rows of a window. Else it lies in a copy, with its padding, of what a tile of positions sees.
 *
 * What is left of quads of positions overlaps those before; if there are fewer than four of all, the last is repeated.
 * What is pooled has a pass over its tile for each position in a window; the maximum is taken of the outputs:
 * requantisation is monotone. */
#include "le_bytes_mve.h"
#include "le_mve.h"

#define QUAD 4

/* Positions: where the first one's inputs lie; how far apart, in bytes, columns and rows are; how many there are. */
typedef struct {
    const int8_t *first;
    int32_t step, row, width, height;
} grid;

/* Their outputs, which follow each other. */
static LE_NOINLINE void multiply(LE_TABLE le_mve_few *layer, const grid *of, int8_t *output)
{
    const int32_t channels = layer->windows.output.channels, count = of->width * of->height;
    const int32_t jump = of->row - of->width * of->step;
    const int in_rows = of->height > 1 && jump != 0;
    const int32_t width = in_rows ? of->width : 0;
    le_mve_few_block block = {of->first, of->step, QUAD - 1, width, jump, (uint32_t)count / QUAD, output};
    if (count >= QUAD) {
        layer->multiply(&layer->matrix, &block);
    }
    if (count % QUAD != 0) {
        const int32_t before = count < QUAD ? 0 : count - QUAD;
        block.input += before * of->step + (in_rows ? (of->height - 1) * jump : 0);
        block.width = 0;
        block.quads = 1;
        block.last = (uint32_t)(count < QUAD ? count - 1 : QUAD - 1);
        block.output += before * channels;
        layer->multiply(&layer->matrix, &block);
    }
}

/* The same where rows of outputs are `apart` bytes apart. A quad is in two rows at most. */
static void multiply_rows(LE_TABLE le_mve_few *layer, grid of, int8_t *output, int32_t apart)
{
    if (of.width == 1 && apart == layer->windows.output.channels) {
        of.step = of.row;
        of.width = of.height;
        of.height = 1;
    }
    if (apart == of.width * layer->windows.output.channels && (of.width >= QUAD || of.row == of.width * of.step)) {
        multiply(layer, &of, output);
        return;
    }
    int32_t rows = of.height;
    of.height = 1;
    for (; rows > 0; rows--, of.first += of.row, output += apart) {
        multiply(layer, &of, output);
    }
}

/* From (top, left) on, with padding outside the input. */
static void copy_input(LE_TABLE le_mve_few *layer, const int8_t *input, int top, int left, int rows, int columns,
                       int8_t *to)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const int height = windows->input.height, width = windows->input.width, channels = windows->input.channels;
    const int pitch = layer->pitch, first = top < 0 ? 0 : top, begin = left < 0 ? 0 : left;
    const int last = top + rows > height ? height : top + rows, end = left + columns > width ? width : left + columns;
    if (top < 0 || left < 0 || top + rows > height || left + columns > width) {
        le_few_fill_mve_s8(to, (uint32_t)(rows * pitch), windows->padding_value);
    }
    if (first < last && begin < end) {
        le_few_copy_mve_s8(input + (first * width + begin) * channels,
                           to + (first - top) * pitch + (begin - left) * channels, (uint32_t)((end - begin) * channels),
                           (uint32_t)(last - first), (uint32_t)(width * channels), (uint32_t)pitch);
    }
}

/* The outputs of a tile, `of.width` by `of.height`, whose inputs begin at `of.first`: the largest of each window. */
static void pool(LE_TABLE le_mve_few *layer, grid of, int pitch, int8_t *found, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const int channels = windows->output.channels, apart = windows->output.width * channels;
    const int line = of.width * channels;
    const int8_t *const first = of.first;
    for (int y = 0; y < windows->pool_h; y++) {
        for (int x = 0; x < windows->pool_w; x++) {
            of.first = first + y * windows->stride_h * pitch + x * windows->stride_w * windows->input.channels;
            if (x == 0 && y == 0) {
                multiply_rows(layer, of, output, apart);
                continue;
            }
            multiply_rows(layer, of, found, line);
            for (int row = 0; row < of.height; row++) {
                le_maximum_mve_s8(output + row * apart, found + row * line, (size_t)line);
            }
        }
    }
}

void le_conv2d_few_mve_s8(LE_TABLE le_mve_few *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const int height = windows->output.height, width = windows->output.width, inputs = windows->input.channels;
    const int line = windows->input.width * inputs, pitch = layer->pitch != 0 ? layer->pitch : line;
    grid of = {input, windows->step_w * inputs, windows->step_h * pitch, 0, 0};
    for (int row = 0; row < height; row += of.height) {
        of.height = height - row < layer->rows ? height - row : layer->rows;
        for (int column = 0; column < width; column += of.width) {
            const int top = row * windows->step_h - windows->pad_top;
            const int left = column * windows->step_w - windows->pad_left;
            of.width = width - column < layer->columns ? width - column : layer->columns;
            if (layer->pitch == 0) {
                of.first = input + top * line + left * inputs;
            } else {
                const int rows = (of.height - 1) * windows->step_h + windows->patch_h;
                const int columns = (of.width - 1) * windows->step_w + windows->patch_w;
                copy_input(layer, input, top, left, rows, columns, scratch);
                of.first = scratch;
            }
            pool(layer, of, pitch, scratch + layer->outputs_offset,
                 output + (row * width + column) * (int)windows->output.channels);
        }
    }
}
