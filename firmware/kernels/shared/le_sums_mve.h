/* Eight channels are a vector of int16. */
#ifndef LE_SUMS_MVE_H
#define LE_SUMS_MVE_H

#include <arm_mve.h>

#define LE_OFFSET 0 /* in the sums, for each value */
#define LE_ANY_ADDRESS 1
#define LE_IS_ALIGNED(area) 1

static inline int16x8_t le_sums_of(const le_area *area, const int8_t *x)
{
    int16x8_t eight = vdupq_n_s16(0);
    const ptrdiff_t pixel = area->pixel;
    LE_FOR_RUNS(area, x) {
        const int8_t *p = x;
        uint16_t left = area->pixels;
        for (; left >= 4; left = (uint16_t)(left - 4), p += pixel) {
            eight = vaddq_s16(eight, vldrbq_s16(p));
            p += pixel;
            eight = vaddq_s16(eight, vldrbq_s16(p));
            p += pixel;
            eight = vaddq_s16(eight, vldrbq_s16(p));
            p += pixel;
            eight = vaddq_s16(eight, vldrbq_s16(p));
        }
        for (; left != 0; left--, p += pixel) {
            eight = vaddq_s16(eight, vldrbq_s16(p));
        }
    }
    return eight;
}

static inline int32x4_t le_sums_of_four(const le_area *area, const int8_t *x)
{
    int32x4_t sums = vdupq_n_s32(0);
    LE_FOR_RUNS(area, x) {
        LE_FOR_PIXELS(area, x, p) {
            sums = vaddq_s32(sums, vldrbq_s32(p));
        }
    }
    return sums;
}

static void le_add_eight(const le_area *area, const int8_t *x, uint32_t *into)
{
    int16_t found[8];
    vstrhq_s16(found, le_sums_of(area, x));
    for (uint8_t i = 0; i < 8; i += 4) {
        vstrwq_u32(into + i, vaddq_u32(vldrwq_u32(into + i), vreinterpretq_u32_s32(vldrhq_s32(found + i))));
    }
}

static inline void le_add_four(const le_area *area, const int8_t *x, uint32_t *into)
{
    vstrwq_u32(into, vaddq_u32(vldrwq_u32(into), vreinterpretq_u32_s32(le_sums_of_four(area, x))));
}

#endif
