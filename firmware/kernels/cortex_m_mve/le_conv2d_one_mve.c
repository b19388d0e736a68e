/* Convolution 5 x 5 of one input channel, pooled; rows of windows are in le_one_row_mve.h.
 *
 * A band is int8 [column][5], the five rows under a row of the convolution, columns from -pad_left on. So the 25 inputs
 * of a position are contiguous. There are two, of the upper and of the lower row of the convolution in a row of windows.
 * For the next row of windows a band begins two bytes further: three of its rows are there then, and the two others
 * take the place of the two that are not needed any more. */
#include "le_bytes_mve.h"
#include "le_mve.h"

#define ROWS 5
#define LANES 16
#define WINDOW_BYTES (3 * 2 * 4) /* of its sums in a row of the convolution, of a group of channels */

/* In scratch: sums, of 16 windows in the upper row of the convolution and of those that there are in the lower one; a row
 * of padding; and the bands, each with a column in front of it, for what lies left of one. */

void le_one_rows_mve_s8(const le_mve_rows *rows);

/* A row of the input, if there is one: else padding stays there. */
static void put(LE_TABLE le_windows *windows, const int8_t *input, int y, int8_t *to)
{
    if (y >= 0 && y < windows->input.height) {
        const uint32_t width = windows->input.width;
        const int8_t *const line = input + (size_t)y * width;
        const uint8x16_t offsets = vmulq_n_u8(vidupq_n_u8(0, 1), ROWS);
        for (uint32_t x = 0; x < width; x += LANES) {
            const mve_pred16_t inside = vctp8q(width - x);
            vstrbq_scatter_offset_p_s8(to + x * ROWS, offsets, vldrbq_z_s8(line + x, inside), inside);
        }
    }
}

void le_conv2d_one_mve_s8(LE_TABLE le_mve_one *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const uint32_t pairs = (windows->output.width + 1U) / 2;
    int8_t *const padding = scratch + (16 + 2 * pairs) * WINDOW_BYTES, *const upper = padding + 2 * LANES + ROWS;
    int8_t *const lower = upper + layer->bands_apart;
    const size_t column = windows->pad_left * ROWS;
    const uint32_t width = windows->input.width, last = width > LANES ? width - LANES : 0;
    le_fill_mve_s8(windows->padding_value, 2 * LANES + 2 * (size_t)layer->bands_apart, padding);
    int y = -windows->pad_top;
    for (size_t row = 0; row < ROWS - 2; row++) {
        put(windows, input, y++, upper + column + row);
        put(windows, input, y, lower + column + row);
    }
    const size_t at = column + ROWS - 2;
    const le_mve_rows rows = {
        .put = at + 2,
        .upper = upper + at,
        .lower = lower + at,
        .line = input + y * (int)width,
        .y = y,
        .y_end = y + 2 * windows->output.height,
        .width = width,
        .height = windows->input.height,
        .last = last,
        .last_column = last * ROWS,
        .padding = padding,
        .padding_value = windows->padding_value,
        .sums = (int32_t *)(void *)scratch,
        .table = layer->table,
        .output = output,
        .channels = windows->output.channels,
        .pairs = pairs,
    };
    le_one_rows_mve_s8(&rows);
}
