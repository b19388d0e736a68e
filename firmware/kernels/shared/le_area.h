/* What a pooling by itself sees of its input. */
#ifndef LE_AREA_H
#define LE_AREA_H

#include "le_kernels.h"

/* The part of a window that lies inside the input: rows top..bottom-1, columns left..right-1. */
typedef struct {
    int top, bottom, left, right;
} le_area;

static inline le_area le_area_at(const le_windows *windows, unsigned row, unsigned column)
{
    const int height = (int)windows->input.height, width = (int)windows->input.width;
    le_area area;
    area.top = (int)(row * windows->step_h) - windows->pad_top;
    area.left = (int)(column * windows->step_w) - windows->pad_left;
    area.bottom = area.top + windows->window_h;
    area.right = area.left + windows->window_w;
    area.top = area.top < 0 ? 0 : area.top;
    area.left = area.left < 0 ? 0 : area.left;
    area.bottom = area.bottom > height ? height : area.bottom;
    area.right = area.right > width ? width : area.right;
    return area;
}

static inline int8_t le_value_at(const le_windows *windows, const int8_t *input, int y, int x, unsigned channel)
{
    return input[((size_t)y * windows->input.width + (size_t)x) * windows->input.channels + channel];
}

#endif
