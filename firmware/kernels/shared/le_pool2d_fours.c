/* le_pool2d.c for speed, three times as fast and twice as long: a window is walked once for four channels, or with MVE
 * for eight, in runs of pixels, or all of it at once where it is as wide as the input. */
#define LE_SOURCE const
#define LE_FAST_FOURS
#include "le_fours.h"

/* The part of a window that lies inside the input: runs of pixels. */
typedef struct {
    const int8_t *start;
    ptrdiff_t pixel, line; /* bytes from one to the next */
    uint16_t runs, pixels;
} le_area;

/* A run's values of one channel, or of four or eight, go into as many results. */
typedef void le_gather(const int8_t *x, ptrdiff_t pixel, size_t count, int32_t *into);

/* How many of the channels that are left are taken at once, by which function, and into what. */
#if defined(__ARM_FEATURE_MVE)
#define TAKEN(left) ((left) >= 8 ? 8 : (left) >= 4 ? 4 : 1)
#define FOR(taken, eight, four, one) ((taken) == 8 ? (eight) : (taken) == 4 ? (four) : (one))
#define ALL(first) {first, first, first, first, first, first, first, first}
#else
#define TAKEN(left) ((left) >= 4 ? 4 : 1)
#define FOR(taken, eight, four, one) ((taken) == 4 ? (four) : (one))
#define ALL(first) {first, first, first, first}
#define largest_of_eight NULL /* not called */
#define le_add_eight NULL
#endif

static void add_one(const int8_t *x, ptrdiff_t pixel, size_t count, int32_t *into)
{
    for (; count != 0; count--, x += pixel) {
        *into += *x;
    }
}

static void largest_of_one(const int8_t *x, ptrdiff_t pixel, size_t count, int32_t *into)
{
    for (; count != 0; count--, x += pixel) {
        *into = *x > *into ? *x : *into;
    }
}

#if defined(__ARM_FEATURE_MVE)
static void largest_of_four(const int8_t *x, ptrdiff_t pixel, size_t count, int32_t *into)
{
    int32x4_t largest = vldrwq_s32(into);
    for (; count != 0; count--, x += pixel) {
        largest = vmaxq_s32(largest, vldrbq_s32(x));
    }
    vstrwq_s32(into, largest);
}

static void largest_of_eight(const int8_t *x, ptrdiff_t pixel, size_t count, int32_t *into)
{
    int16x8_t largest = vdupq_n_s16(-128);
    for (; count != 0; count--, x += pixel) {
        largest = vmaxq_s16(largest, vldrbq_s16(x));
    }
    int16_t found[8];
    vstrhq_s16(found, largest);
    vstrwq_s32(into, vmaxq_s32(vldrwq_s32(into), vldrhq_s32(found)));
    vstrwq_s32(into + 4, vmaxq_s32(vldrwq_s32(into + 4), vldrhq_s32(found + 4)));
}
#else
static void largest_of_four(const int8_t *x, ptrdiff_t pixel, size_t count, int32_t *into)
{
    int32_t l0 = into[0], l1 = into[1], l2 = into[2], l3 = into[3];
    for (; count != 0; count--, x += pixel) {
        l0 = x[0] > l0 ? x[0] : l0;
        l1 = x[1] > l1 ? x[1] : l1;
        l2 = x[2] > l2 ? x[2] : l2;
        l3 = x[3] > l3 ? x[3] : l3;
    }
    into[0] = l0;
    into[1] = l1;
    into[2] = l2;
    into[3] = l3;
}
#endif

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

/* Rounded half away from zero (AveragePool, tensorflow/lite/kernels/internal/reference/integer_ops/pooling.h).
 *
 * Where nothing divides, inverse = floor(2^24 / count) + 1. With n = |sum| + count / 2, at most 128.5 count, n inverse is
 * below 2^32, and the quotient is too large by less than n / 2^24: below 1, as the count is at most 255 * 255. */
#if defined(__ARM_FEATURE_IDIV) || defined(__riscv_div)
#define INVERSE(count) (count)

static int32_t mean_of(int32_t sum, int32_t count, int32_t inverse)
{
    return (sum > 0 ? sum + count / 2 : sum - count / 2) / inverse;
}
#else
#define INVERSE(count) (((int32_t)1 << 24) / (count) + 1)

static int32_t mean_of(int32_t sum, int32_t count, int32_t inverse)
{
    const uint32_t n = (uint32_t)((sum < 0 ? -sum : sum) + count / 2);
    int32_t quotient = (int32_t)((n * (uint32_t)inverse) >> 24);
    quotient -= (uint32_t)(quotient * count) > n;
    return sum < 0 ? -quotient : quotient;
}
#endif

/* first: what a result is before the first value; the results are divided by the number of pixels where it is 0. */
static void pool(LE_TABLE le_pool2d *layer, const int8_t *input, int8_t *output, le_gather *eight, le_gather *four,
                 le_gather *one, int32_t first)
{
    const le_windows windows = layer->windows;
    const int32_t low = layer->clamp_min, high = layer->clamp_max;
    (void)eight;
    for (uint16_t row = 0; row < windows.output.height; row++) {
        for (uint16_t column = 0; column < windows.output.width; column++) {
            le_area area = area_at(&windows, input, row, column);
            const int32_t count = (int32_t)area.pixels * area.runs, inverse = INVERSE(count);
            for (uint16_t left = windows.output.channels; left != 0;) {
                const uint8_t taken = TAKEN(left);
                int32_t results[] = ALL(first);
                const int8_t *x = area.start;
                for (uint16_t run = area.runs; run != 0; run--, x += area.line) {
                    FOR(taken, eight, four, one)(x, area.pixel, area.pixels, results);
                }
                for (uint8_t i = 0; i < taken; i++) {
                    const int32_t value = first == 0 ? mean_of(results[i], count, inverse) : results[i];
                    *output++ = (int8_t)(value < low ? low : value > high ? high : value);
                }
                area.start += taken;
                left = (uint16_t)(left - taken);
            }
        }
    }
}

void le_max_pool2d_s8(LE_TABLE le_pool2d *layer, const int8_t *input, int8_t *output)
{
    pool(layer, input, output, largest_of_eight, largest_of_four, largest_of_one, -128);
}

void le_average_pool2d_s8(LE_TABLE le_pool2d *layer, const int8_t *input, int8_t *output)
{
    pool(layer, input, output, le_add_eight, le_add_four, add_one, 0);
}
