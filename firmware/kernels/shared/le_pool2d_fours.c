/* le_pool2d.c for speed: a window is walked once for four channels, or with MVE for eight, in runs of pixels, or all of it
 * at once where it is as wide as the input. */
#include "le_pool2d_fours.h"

static le_area area_at(const le_windows *windows, const int8_t *input, unsigned row, unsigned column)
{
    const int height = (int)windows->input.height, width = (int)windows->input.width;
    int top = (int)(row * windows->step_h) - windows->pad_top, bottom = top + windows->window_h;
    int left = (int)(column * windows->step_w) - windows->pad_left, right = left + windows->window_w;
    top = top < 0 ? 0 : top;
    left = left < 0 ? 0 : left;
    bottom = bottom > height ? height : bottom;
    right = right > width ? width : right;

    const ptrdiff_t pixel = (ptrdiff_t)windows->input.channels, line = (ptrdiff_t)windows->input.width * pixel;
    le_area area = {input + top * line + left * pixel, pixel, line, (uint16_t)(bottom - top),
                    (uint16_t)(right - left)};
    if (area.pixels == windows->input.width) { /* both at most 255 */
        area.pixels = (uint16_t)(area.pixels * area.runs);
        area.runs = 1;
    }
    return area;
}

static le_divisor divisor_of(uint32_t count)
{
    const uint32_t inverse = count <= LE_MOST_AT_ONCE ? ((uint32_t)1 << 24) / count + 1 : 0;
    const le_divisor by = {count, inverse, count / 2, count % 2 == 0 ? 128 * count : 0};
    return by;
}

static int8_t average_of_one(const le_area *area, const le_divisor *by, const int8_t *x)
{
    int32_t sum = (int32_t)(128 * by->count);
    LE_FOR_RUNS(area, x) {
        LE_FOR_PIXELS(area, x, p) {
            sum += *p;
        }
    }
    return le_mean_of((uint32_t)sum, by);
}

static int8_t largest_of_one(const le_area *area, const le_divisor *by, const int8_t *x)
{
    (void)by;
    int8_t largest = -128;
    LE_FOR_RUNS(area, x) {
        LE_FOR_PIXELS(area, x, p) {
            largest = *p > largest ? *p : largest;
        }
    }
    return largest;
}

static void clamp(int8_t *values, uint16_t count, int8_t low, int8_t high)
{
    for (; count != 0; count--, values++) {
        *values = *values < low ? low : *values > high ? high : *values;
    }
}

static void pool(LE_TABLE le_pool2d *layer, const int8_t *input, int8_t *output, le_pool_fours *fours,
                 int8_t (*one)(const le_area *, const le_divisor *, const int8_t *))
{
    const le_windows windows = layer->windows;
    const int8_t low = layer->clamp_min, high = layer->clamp_max;
    const uint16_t channels = windows.output.channels;
    le_divisor by = {0, 0, 0, 0};
    for (uint16_t row = 0; row < windows.output.height; row++) {
        for (uint16_t column = 0; column < windows.output.width; column++, output += channels) {
            const le_area area = area_at(&windows, input, row, column);
            const uint32_t count = (uint32_t)area.runs * area.pixels;
            if (count != by.count) {
                by = divisor_of(count);
            }
            for (uint16_t done = fours(&area, &by, channels, output); done < channels; done++) {
                output[done] = one(&area, &by, area.start + done);
            }
            if (low != -128 || high != 127) {
                clamp(output, channels, low, high);
            }
        }
    }
}

void le_max_pool2d_s8(LE_TABLE le_pool2d *layer, const int8_t *input, int8_t *output)
{
    pool(layer, input, output, le_largest_fours, largest_of_one);
}

void le_average_pool2d_s8(LE_TABLE le_pool2d *layer, const int8_t *input, int8_t *output)
{
    pool(layer, input, output, le_average_fours, average_of_one);
}
