/* Convolution 5 x 5 of several input channels, pooled by 2 x 2; a window of the pooling is in le_conv2d_nested_dsp.S.
 *
 * A strip is what some windows next to each other see. For each pair of columns 2j, 2j + 1, counted from -pad_left on, and
 * of its columns o, e and n there are three arrays of cells [j][pair of channels], words: of the rows o (3 words), e (3) and
 * n (2). From one row of windows to the next all of them move up by one word. */
#include "le_dsp.h"

#include <string.h>

#define KERNEL 5
#define CELL_WORDS 8 /* of three arrays */

/* Where the nine sums of a window begin, oo, oe, on, eo ... nn, and pairs of channels. */
typedef struct {
    const uint32_t *x[9];
    uint32_t pairs;
} le_dsp_nested_sums;

/* One window, all groups of four channels. */
typedef void le_nested_window(const le_dsp_nested_sums *sums, LE_TABLE uint32_t *table, int8_t *output, uint32_t groups);
le_nested_window le_nested_dsp_s8, le_nested_double_dsp_s8;

/* Pairs of columns, cells of the largest strip, its first column. */
typedef struct {
    LE_TABLE le_windows *windows;
    uint32_t *x;
    int8_t *lines;
    size_t columns, cells;
    int left;
} le_strip;

/* Every second pixel of the next two rows, from `upper` and `lower` on, less the pixels `less` bytes behind them if that is
 * not 0, to the cells of one of the columns o, e and n.  columns is 1 or more. */
typedef struct {
    uint32_t *o, *e, *n;
    const int8_t *upper, *lower;
    int32_t less;
    uint32_t channels, columns;
} le_dsp_nested_rows;
void le_nested_rows_dsp_s8(const le_dsp_nested_rows *rows), le_nested_rows_less_dsp_s8(const le_dsp_nested_rows *rows);

/* The next two rows, whose columns begin at `upper` and `lower`. The last n has no pixel behind it, and is of no use. */
static void put_lines(const le_strip *strip, const int8_t *upper, const int8_t *lower)
{
    const uint32_t channels = strip->windows->input.channels, columns = (uint32_t)strip->columns;
    const size_t cells = strip->cells;
    uint32_t *const o = strip->x, *const n = o + 6 * cells;
    const le_dsp_nested_rows odd = {o, o + 3 * cells, n, upper + channels, lower + channels, 0, channels, columns};
    le_nested_rows_dsp_s8(&odd);
    const int32_t less = (int32_t)channels;
    const le_dsp_nested_rows even = {o + 8 * cells, o + 11 * cells, n + 8 * cells, upper, lower, less, channels, columns};
    le_nested_rows_less_dsp_s8(&even);
    const int8_t *const above = upper + 2 * channels, *const below = lower + 2 * channels;
    const le_dsp_nested_rows next = {o + 16 * cells, o + 19 * cells, n + 16 * cells, above, below, -less, channels, columns - 1};
    le_nested_rows_less_dsp_s8(&next);
}

/* Row y of the input from the strip's first column on, of which a part may lie outside: where it is, or put together in
 * `to`. */
static const int8_t *line_at(const le_strip *strip, const int8_t *input, int y, int8_t *to)
{
    LE_TABLE le_windows *const windows = strip->windows;
    const int width = windows->input.width, count = 2 * (int)strip->columns, channels = windows->input.channels;
    const int8_t *const row = input + y * width * channels;
    const int is_inside = y >= 0 && y < windows->input.height;
    if (is_inside && strip->left >= 0 && strip->left + count <= width) {
        return row + strip->left * channels;
    }
    memset(to, windows->padding_value, (size_t)(count * channels));
    const int begin = strip->left < 0 ? 0 : strip->left;
    const int end = strip->left + count < width ? strip->left + count : width;
    if (is_inside && begin < end) {
        memcpy(to + (begin - strip->left) * channels, row + begin * channels, (size_t)((end - begin) * channels));
    }
    return to;
}

/* Two rows, the first of which is row y of the input. */
static void put_two_rows(const le_strip *strip, const int8_t *input, int y)
{
    int8_t *const other = strip->lines + 2 * strip->columns * strip->windows->input.channels;
    put_lines(strip, line_at(strip, input, y, strip->lines), line_at(strip, input, y + 1, other));
}

/* The windows of a row. */
static void run_row(LE_TABLE le_dsp_nested *layer, const le_strip *strip, le_nested_window *window, int8_t *output,
                    size_t count)
{
    static const uint8_t words_before[3] = {0, 3, 6}, words[3] = {3, 3, 2};
    const size_t channels = layer->windows.output.channels;
    le_dsp_nested_sums sums;
    sums.pairs = (layer->windows.input.channels + 1u) / 2;
    for (size_t i = 0; i < 9; i++) {
        sums.x[i] = strip->x + (CELL_WORDS * (i % 3) + words_before[i / 3]) * strip->cells;
    }
    for (; count != 0; count--, output += channels) {
        window(&sums, layer->table, output, layer->groups);
        for (size_t i = 0; i < 9; i++) {
            sums.x[i] += sums.pairs * words[i / 3];
        }
    }
}

static void convolve(LE_TABLE le_dsp_nested *layer, const int8_t *input, int8_t *scratch, int8_t *output,
                     le_nested_window *window)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const size_t channels = windows->output.channels, width = windows->output.width, most = layer->strip;
    const size_t cells = (most + KERNEL / 2) * ((windows->input.channels + 1u) / 2);
    le_strip strip = {windows, (uint32_t *)(void *)scratch, NULL, 0, cells, -(int)windows->pad_left};
    int8_t *const outputs = scratch + 4 * 3 * CELL_WORDS * cells; /* of groups that are not whole */
    strip.lines = channels % 4 == 0 ? outputs : outputs + (most * channels + 6) / 4 * 4;
    for (size_t first = 0, count; first < width; first += count, strip.left += 2 * (int)count) {
        count = width - first < most ? width - first : most;
        strip.columns = count + KERNEL / 2;
        int y = -(int)windows->pad_top;
        put_two_rows(&strip, input, y);
        put_two_rows(&strip, input, y + 2);
        int8_t *to = output + first * channels;
        for (size_t row = windows->output.height; row != 0; row--, y += 2, to += width * channels) {
            put_two_rows(&strip, input, y + 4);
            run_row(layer, &strip, window, channels % 4 == 0 ? to : outputs, count);
            if (channels % 4 != 0) {
                memcpy(to, outputs, count * channels);
            }
        }
    }
}

void le_conv2d_nested_dsp_s8(LE_TABLE le_dsp_nested *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    convolve(layer, input, scratch, output, le_nested_dsp_s8);
}

void le_conv2d_nested_double_dsp_s8(LE_TABLE le_dsp_nested *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    convolve(layer, input, scratch, output, le_nested_double_dsp_s8);
}
