/* Sums over pixels, of several channels at once: for poolings and means that are there for speed. */
#ifndef LE_SUMS_H
#define LE_SUMS_H

#include "le_kernels.h"

/* A part of the input: runs of pixels. */
typedef struct {
    const int8_t *start;
    ptrdiff_t pixel, line; /* bytes from one to the next */
    uint16_t runs, pixels;
} le_area;

#define LE_FOR_RUNS(area, x) for (uint16_t run_ = (area)->runs; run_ != 0; run_--, (x) += (area)->line)
#define LE_FOR_PIXELS(area, x, p) \
    for (const int8_t *p = (x), *const end_ = p + (area)->pixels * (area)->pixel; p != end_; p += (area)->pixel)

#define LE_MOST_AT_ONCE 255 /* pixels: their sums are within 16 bits */

/* Calls `add(part, x, sums)` for parts of an area that have LE_MOST_AT_ONCE pixels at most. */
static inline void le_add_parts(const le_area *area, const int8_t *x, uint32_t *sums,
                                void (*add)(const le_area *, const int8_t *, uint32_t *))
{
    le_area part = *area;
    part.runs = 1;
    LE_FOR_RUNS(area, x) {
        const int8_t *first = x;
        for (uint16_t left = area->pixels; left != 0; left = (uint16_t)(left - part.pixels)) {
            part.pixels = left < LE_MOST_AT_ONCE ? left : LE_MOST_AT_ONCE;
            add(&part, first, sums);
            first += part.pixels * part.pixel;
        }
    }
}

#if defined(__ARM_FEATURE_MVE)
#include "le_sums_mve.h"
#else
#include "le_sums_words.h"
#endif

#endif
