/* Convolution 5 x 5 of one input channel, pooled; a row of windows is in le_one_row_mve.h.
 *
 * A band is int8 [column][6], the six rows under a row of windows, columns from -pad_left on. So the 25 inputs of a
 * position lie in 30 bytes that begin at its column, and those of the position below it one byte further. */
#include "le_mve.h"

#include <arm_mve.h>

#define ROWS 6
#define LANES 16

/* In scratch: sums of a group of channels, then the band. */
#define SUMS_BYTES (4 * 3 * 16 * 4)

void le_one_row_mve_s8(LE_TABLE le_mve_row *row, const int8_t *band, int32_t *sums, int8_t *output);

static void fill(int8_t value, size_t count, int8_t *to)
{
    for (size_t i = 0; i < count; i += LANES) {
        vstrbq_p_s8(to + i, vdupq_n_s8(value), vctp8q((uint32_t)(count - i)));
    }
}

/* Where the first 16 pixels of the band's row 0 belong. */
static inline uint8x16_t first_offsets(void) { return vmulq_n_u8(vidupq_n_u8(0, 1), ROWS); }

/* The rows from `top` on, some of which may lie outside, to the band's first column with input. */
static LE_NOINLINE void put_outer_rows(LE_TABLE le_windows *windows, const int8_t *input, int top, int8_t *to)
{
    const uint32_t height = windows->input.height, width = windows->input.width;
    const uint8x16_t offsets = first_offsets();
    const int8_t *line = input + top * (int)width;
    for (int8_t *const end = to + ROWS; to < end; to++, top++, line += width) {
        for (uint32_t x = 0; x < width; x += LANES) {
            const mve_pred16_t inside = vctp8q(width - x);
            int8x16_t pixels = vdupq_n_s8(windows->padding_value);
            if ((uint32_t)top < height) {
                pixels = vldrbq_z_s8(line + x, inside);
            }
            vstrbq_scatter_offset_p_s8(to + x * ROWS, offsets, pixels, inside);
        }
    }
}

/* The same for rows inside, 16 to 32 wide: the first 16 pixels of each, and the last 16. */
static inline void put_inner_rows(const int8_t *line, size_t width, int8_t *to)
{
    int8_t *const last = to + (width - LANES) * ROWS;
    uint8x16_t offsets = first_offsets();
    for (int row = 0; row < ROWS; row++, offsets = vaddq_n_u8(offsets, 1)) {
        vstrbq_scatter_offset_s8(to, offsets, vldrbq_s8(line));
        line += width;
        vstrbq_scatter_offset_s8(last, offsets, vldrbq_s8(line - LANES));
    }
}

void le_conv2d_one_mve_s8(LE_TABLE le_mve_one *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    int32_t *const sums = (int32_t *)(void *)scratch;
    int8_t *const band = scratch + SUMS_BYTES;
    const size_t width = (size_t)windows->output.width * windows->output.channels;
    fill(windows->padding_value, (size_t)layer->columns * ROWS, band);
    const int lowest = windows->input.width < LANES ? -1 : windows->input.height - ROWS; /* top that is inside */
    int top = -windows->pad_top;
    for (size_t row = windows->output.height; row != 0; row--, top += 2, output += width) {
        int8_t *const to = band + windows->pad_left * ROWS;
        if (top >= 0 && top <= lowest) {
            put_inner_rows(input + (size_t)top * windows->input.width, windows->input.width, to);
        } else {
            put_outer_rows(windows, input, top, to);
        }
        le_one_row_mve_s8(&layer->row, band, sums, output);
    }
}
