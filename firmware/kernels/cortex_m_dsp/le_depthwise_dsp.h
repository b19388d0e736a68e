/* What the depthwise kernels share: rows of pixels. */
#ifndef LE_DEPTHWISE_DSP_H
#define LE_DEPTHWISE_DSP_H

#include "le_dsp.h"

/* A line of pixels, or the same pixel again and again. */
typedef struct {
    const int8_t *from;
    size_t step;
} le_pixels;

/* Row y of the input, outside of it four bytes of padding. input: from the first of the channels that are wanted on. */
static inline le_pixels le_pixels_at(LE_TABLE le_windows *windows, const int8_t *input, int y, const int8_t *padding)
{
    const size_t channels = windows->input.channels;
    const le_pixels outside = {padding, 0}, row = {input + (size_t)y * windows->input.width * channels, channels};
    return y >= 0 && y < (int)windows->input.height ? row : outside;
}

/* Columns of the input, from its first on, that are among so many columns with the padding. */
static inline size_t le_columns_inside(LE_TABLE le_windows *windows, size_t columns)
{
    const size_t most = columns - windows->pad_left;
    return windows->input.width < most ? windows->input.width : most;
}

#endif
