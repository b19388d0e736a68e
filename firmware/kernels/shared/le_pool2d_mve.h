/* Eight channels are a vector of int16: le_sums_mve.h. */
#ifndef LE_POOL2D_MVE_H
#define LE_POOL2D_MVE_H

/* A window of many pixels. */
static uint16_t le_average_parts(const le_area *area, const le_divisor *by, uint16_t channels, int8_t *output)
{
    uint16_t done = 0;
    for (uint16_t taken; channels - done >= 4; done = (uint16_t)(done + taken)) {
        uint32_t sums[8];
        taken = channels - done >= 8 ? 8 : 4;
        for (uint8_t i = 0; i < 8; i++) {
            sums[i] = 128 * by->count;
        }
        le_add_parts(area, area->start + done, sums, taken == 8 ? le_add_eight : le_add_four);
        for (uint16_t i = 0; i < taken; i++) {
            output[done + i] = le_mean_of(sums[i], by);
        }
    }
    return done;
}

static inline void le_put_means(int32x4_t sums, const le_divisor *by, int8_t *output)
{
    const int32x4_t four = vaddq_n_s32(sums, (int32_t)(128 * by->count)), n = vaddq_n_s32(four, (int32_t)by->half);
    const mve_pred16_t below = vcmpltq_n_s32(four, (int32_t)by->ties_below);
    const int32x4_t divided = vmulq_n_s32(vsubq_m_n_s32(n, n, 1, below), (int32_t)by->inverse);
    const int32x4_t means = vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(divided), 24));
    vstrbq_s32(output, vsubq_n_s32(means, 128));
}

static uint16_t le_average_fours(const le_area *area, const le_divisor *by, uint16_t channels, int8_t *output)
{
    if (by->count > LE_MOST_AT_ONCE) {
        return le_average_parts(area, by, channels, output);
    }
    uint16_t done = 0;
    for (; channels - done >= 8; done = (uint16_t)(done + 8)) {
        int16_t found[8];
        vstrhq_s16(found, le_sums_of(area, area->start + done));
        le_put_means(vldrhq_s32(found), by, output + done);
        le_put_means(vldrhq_s32(found + 4), by, output + done + 4);
    }
    for (; channels - done >= 4; done = (uint16_t)(done + 4)) {
        le_put_means(le_sums_of_four(area, area->start + done), by, output + done);
    }
    return done;
}

static uint16_t le_largest_fours(const le_area *area, const le_divisor *by, uint16_t channels, int8_t *output)
{
    (void)by;
    uint16_t done = 0;
    for (; channels - done >= 8; done = (uint16_t)(done + 8)) {
        const int8_t *x = area->start + done;
        int16x8_t largest = vdupq_n_s16(-128);
        LE_FOR_RUNS(area, x) {
            LE_FOR_PIXELS(area, x, p) {
                largest = vmaxq_s16(largest, vldrbq_s16(p));
            }
        }
        vstrbq_s16(output + done, largest);
    }
    for (; channels - done >= 4; done = (uint16_t)(done + 4)) {
        const int8_t *x = area->start + done;
        int32x4_t largest = vdupq_n_s32(-128);
        LE_FOR_RUNS(area, x) {
            LE_FOR_PIXELS(area, x, p) {
                largest = vmaxq_s32(largest, vldrbq_s32(p));
            }
        }
        vstrbq_s32(output + done, largest);
    }
    return done;
}

#endif
