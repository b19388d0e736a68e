#include "le_dsp.h"

#include <string.h>

size_t le_tiles_dsp(LE_TABLE le_dsp_tiles *layer, size_t positions)
{
    return layer->pooled ? positions : (positions + 1) / 2;
}

void le_interleave_dsp_s8(LE_TABLE le_dsp_tiles *layer, const int8_t *planes, size_t plane, size_t row, int8_t *output)
{
    const size_t channels = layer->windows.output.channels;
    const size_t width = layer->windows.output.width, height = layer->windows.output.height;
    for (size_t y = 2 * row; y < 2 * row + 2 && y < height; y++) {
        int8_t *to = output + y * width * channels;
        for (size_t x = 0; x < width; x++, to += channels) {
            memcpy(to, planes + (2 * (y & 1) + (x & 1)) * plane + x / 2 * channels, channels);
        }
    }
}
