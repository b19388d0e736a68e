/* A convolution 3 x 3 on one channel, row by row of its output; le_few_inputs_dsp.S multiplies.
 *
 * Where no window hangs over an edge, and the byte behind each row of a window is the input's too, it is read where it
 * lies. Else a strip of its rows is copied, with the padding around them. */
#include "le_dsp.h"

#define WINDOW 3

/* So many rows of the input, of which the first may lie above it, and the last below it. Rows of the strip are whole words,
 * and at most four bytes are in front of the input there. */
static void put_strip(LE_TABLE le_dsp_nine *layer, const int8_t *input, int top, int count, int8_t *strip)
{
    const int height = layer->windows.input.height, width = layer->windows.input.width;
    const size_t pitch = layer->pitch, before = layer->windows.pad_left;
    const size_t bytes = pitch - before < (size_t)width ? pitch - before : (size_t)width;
    const uint32_t padding = 0x01010101u * (uint8_t)layer->windows.padding_value;
    for (; count != 0; count--, top++, strip += pitch) {
        const int inside = top >= 0 && top < height;
        __builtin_memcpy(strip, &padding, 4);
        for (size_t at = inside ? (before + bytes) / 4 * 4 : 4; at < pitch; at += 4) {
            __builtin_memcpy(strip + at, &padding, 4);
        }
        if (!inside) {
            continue;
        }
        const int8_t *at = input + top * width, *const end = at + bytes / 4 * 4;
        int8_t *to = strip + before;
        for (; at != end; at += 4, to += 4) {
            __builtin_memcpy(to, at, 4);
        }
        for (size_t left = bytes % 4; left != 0; left--) {
            *to++ = *at++;
        }
    }
}

void le_conv2d_nine_dsp_s8(LE_TABLE le_dsp_nine *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const int height = windows->output.height, strip = layer->rows == 0 ? height : layer->rows, down = windows->stride_h;
    const size_t row_bytes = (size_t)windows->output.width * windows->stride_w;
    le_dsp_nine_row row = {NULL,           NULL,          layer->table_end,  layer->table,
                           layer->skipped, layer->pitch, windows->stride_w, output};
    for (int first = 0; first < height; first += strip) {
        const int count = height - first < strip ? height - first : strip;
        row.x = input;
        if (layer->rows != 0) {
            put_strip(layer, input, first * down - windows->pad_top, (count - 1) * down + WINDOW, scratch);
            row.x = scratch;
        }
        for (int left = count; left != 0; left--, row.x += (size_t)down * layer->pitch) {
            row.x_end = row.x + row_bytes;
            row.output = layer->row(&row);
        }
    }
}
