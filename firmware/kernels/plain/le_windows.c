#include "le_windows.h"

#include <string.h>

/* One row of a patch that hangs over the edge: pixels from `left` on, of which those outside are padding. */
static void copy_row(const le_windows *windows, const int8_t *line, int left, int8_t *to)
{
    const size_t channels = windows->input.channels;
    const int width = (int)windows->input.width;
    for (int x = left; x < left + windows->patch_w; x++, to += channels) {
        if (line && x >= 0 && x < width) {
            memcpy(to, line + (size_t)x * channels, channels);
        } else {
            memset(to, windows->padding_value, channels);
        }
    }
}

le_patch le_patch_at_s8(const le_windows *windows, const int8_t *input, unsigned row, unsigned column, int8_t *buffer)
{
    const int top = (int)(row * windows->step_h) - windows->pad_top;
    const int left = (int)(column * windows->step_w) - windows->pad_left;
    const int height = (int)windows->input.height, width = (int)windows->input.width;
    const size_t line = (size_t)windows->input.width * windows->input.channels;
    le_patch patch = {buffer, (size_t)windows->patch_w * windows->input.channels};

    if (top >= 0 && left >= 0 && top + windows->patch_h <= height && left + windows->patch_w <= width) {
        patch.start = input + (size_t)top * line + (size_t)left * windows->input.channels;
        patch.row = line;
        return patch;
    }
    for (int y = top; y < top + windows->patch_h; y++, buffer += patch.row) {
        copy_row(windows, y >= 0 && y < height ? input + (size_t)y * line : NULL, left, buffer);
    }
    return patch;
}
