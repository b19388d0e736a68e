#include "le_windows.h"

#include <string.h>

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
    memset(buffer, windows->padding_value, windows->patch_h * patch.row);
    const int first = left < 0 ? 0 : left, end = left + windows->patch_w < width ? left + windows->patch_w : width;
    if (first >= end) {
        return patch;
    }
    const size_t inside = (size_t)(end - first) * windows->input.channels; /* of each row: one run */
    input += (size_t)first * windows->input.channels;
    buffer += (size_t)(first - left) * windows->input.channels;
    for (int y = top; y < top + windows->patch_h; y++, buffer += patch.row) {
        if (y >= 0 && y < height) {
            memcpy(buffer, input + (size_t)y * line, inside);
        }
    }
    return patch;
}
