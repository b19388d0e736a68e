/* le_mean.c for speed: of means whose values lie side by side four at once, or with MVE eight; and of a mean whose own
 * values do, four of these. Its input is in RAM, and no more than 65,535 values lie along an axis. The scaling is that of
 * sums and products (le_pairs.h): what a mean's sum is at most, times 2^left, is below 2^28. */
#include "le_pairs.h"
#include "le_sums.h"

/* An output is (sum + bias) unit multiplier, rounded, shifted to the right, plus the zero point, clamped. */
typedef struct {
    int32_t bias, unit, multiplier, half, away, zero_point, clamp[2];
    uint8_t shift;
} le_mean_by;

/* bias: what a sum has too much, that of the input's zero point and LE_OFFSET for each value. */
static le_mean_by scaling_of(const le_mean *layer, uint32_t count)
{
    const le_scaling *const to = &layer->to;
    const uint8_t left = (uint8_t)(to->factor.shift > 0 ? to->factor.shift : 0);
    const uint8_t right = (uint8_t)(to->factor.shift < 0 ? -to->factor.shift : 0);
    const le_mean_by by = {
        layer->bias - LE_OFFSET * (int32_t)count, (int32_t)LE_UNIT << left,
        to->factor.multiplier, (int32_t)((uint32_t)1 << right >> 1), right ? -1 : 0,
        to->zero_point, {to->clamp_min, to->clamp_max}, right,
    };
    return by;
}

static void put_means(const uint32_t *sums, size_t count, const le_mean_by *by, int8_t *output)
{
#if defined(__ARM_FEATURE_MVE)
    for (; count >= 4; count -= 4, sums += 4, output += 4) {
        const int32x4_t four = vaddq_n_s32(vreinterpretq_s32_u32(vldrwq_u32(sums)), by->bias);
        const int32x4_t high = vqrdmulhq_n_s32(vmulq_n_s32(four, by->unit), by->multiplier);
        const int32x4_t nudged = vaddq_s32(high, vandq_s32(vshrq_n_s32(high, 31), vdupq_n_s32(by->away)));
        const int32x4_t means = vaddq_n_s32(vrshlq_n_s32(nudged, -by->shift), by->zero_point);
        vstrbq_s32(output, le_clamped_mve(means, by->clamp));
    }
#endif
    for (const int8_t *const end = output + count; output != end; sums++) {
        const int32_t units = ((int32_t)*sums + by->bias) * by->unit;
        const int32_t mean = le_scaled_units(units, by->multiplier, by->half, by->away, by->shift);
        *output++ = le_clamped(mean + by->zero_point, by->clamp);
    }
}

#if defined(__ARM_FEATURE_MVE)
#define GROUP 8
#define ADD_GROUP(area) le_add_eight
static inline void at_once(const le_area *area, const int8_t *x, uint32_t *sums, int aligned)
{
    (void)aligned;
    int16_t found[8];
    vstrhq_s16(found, le_sums_of(area, x));
    vstrwq_s32((int32_t *)sums, vldrhq_s32(found));
    vstrwq_s32((int32_t *)sums + 4, vldrhq_s32(found + 4));
}
#else
#define GROUP 4
#define ADD_GROUP LE_ADD_FOUR
#if defined(__AVR__) || (defined(__ARM_ARCH) && __ARM_ARCH_ISA_THUMB == 1)
__attribute__((noinline)) /* so that its loop has all registers */
#endif
static void at_once(const le_area *area, const int8_t *x, uint32_t *sums, int aligned)
{
    const le_sums found = le_sums_of(area, x, aligned);
    sums[0] = found.even & 0xffff;
    sums[1] = found.odd & 0xffff;
    sums[2] = found.even >> 16;
    sums[3] = found.odd >> 16;
}
#endif

/* The group of means that begins at `first`. */
static inline void put_group(const le_area *area, const le_mean_by *by, size_t first, int8_t *output, int aligned)
{
    uint32_t sums[GROUP];
    at_once(area, area->start + first, sums, aligned);
    put_means(sums, GROUP, by, output + first);
}

/* The first means, as far as groups go; returns how many. If several are left and words may begin anywhere, they are the
 * end of another group, which overlaps the one before. */
static inline size_t means_by(const le_area *area, const le_mean_by *by, size_t means, int8_t *output, int aligned)
{
    size_t done = 0;
    for (; means - done >= GROUP; done += GROUP) {
        put_group(area, by, done, output, aligned);
    }
    if (LE_ANY_ADDRESS && done != 0 && means - done > 1) {
        put_group(area, by, means - GROUP, output, aligned);
        return means;
    }
    return done;
}

/* The same of many pixels. */
static size_t means_in_parts(const le_area *area, const le_mean_by *by, size_t means, int8_t *output)
{
    size_t done = 0;
    for (; means - done >= GROUP; done += GROUP) {
        uint32_t sums[GROUP] = {0};
        le_add_parts(area, area->start + done, sums, ADD_GROUP(area));
        put_means(sums, GROUP, by, output + done);
    }
    return done;
}

#if defined(__ARM_FEATURE_MVE)
/* From `done` on by fours, of any number of pixels. */
static size_t means_by_four(const le_area *area, const le_mean_by *by, size_t done, size_t means, int8_t *output)
{
    while (means >= 4 && done != means) {
        const size_t first = means - done < 4 ? means - 4 : done;
        uint32_t sums[4];
        vstrwq_s32((int32_t *)sums, le_sums_of_four(area, area->start + first));
        put_means(sums, 4, by, output + first);
        done = first + 4;
    }
    return done;
}
#endif

static size_t means_of(const le_area *area, const le_mean_by *by, size_t means, int8_t *output)
{
    size_t done;
    if ((uint32_t)area->runs * area->pixels > LE_MOST_AT_ONCE) {
        done = means_in_parts(area, by, means, output);
    } else if (LE_IS_ALIGNED(area)) {
        done = means_by(area, by, means, output, 1);
    } else {
        done = means_by(area, by, means, output, 0);
    }
#if defined(__ARM_FEATURE_MVE)
    done = means_by_four(area, by, done, means, output);
#endif
    return done;
}

static int32_t sum_of_one(const le_area *area, const int8_t *x)
{
    int32_t sum = LE_OFFSET * (int32_t)area->runs * area->pixels;
    LE_FOR_RUNS(area, x) {
        LE_FOR_PIXELS(area, x, p) {
            sum += *p;
        }
    }
    return sum;
}

/* Of values that lie one behind the other. */
static int32_t sum_of_run(const int8_t *x, size_t count)
{
    int32_t sum = 0;
#if defined(__ARM_FEATURE_MVE)
    for (; count >= 16; count -= 16, x += 16) {
        sum = vaddvaq_s8(sum, vldrbq_s8(x));
    }
    return vaddvaq_s8(sum, vldrbq_z_s8(x, vctp8q((uint32_t)count)));
#else
    for (; count != 0 && !LE_IS_WORD(x); count--) {
        sum += *x++;
    }
    for (le_area words = {x, 4, 0, 1, 0}; count >= 4; count -= 4 * (size_t)words.pixels) {
        uint32_t sums[GROUP];
        words.pixels = count / 4 < LE_MOST_AT_ONCE ? (uint16_t)(count / 4) : LE_MOST_AT_ONCE;
        at_once(&words, x, sums, 1);
        sum += (int32_t)(sums[0] + sums[1] + sums[2] + sums[3]) - 4 * LE_OFFSET * (int32_t)words.pixels;
        x += 4 * (size_t)words.pixels;
    }
    for (; count != 0; count--) {
        sum += *x++;
    }
    return sum;
#endif
}

static int32_t sum_along(const le_area *area, const int8_t *x)
{
    int32_t sum = LE_OFFSET * (int32_t)area->runs * area->pixels;
    LE_FOR_RUNS(area, x) {
        sum += sum_of_run(x, area->pixels);
    }
    return sum;
}

void le_mean_fours_s8(LE_TABLE le_mean *layer, const int8_t *input, int8_t *output)
{
    const le_mean mean = *layer;
    le_area area = {input, mean.meant_steps[1], mean.meant_steps[0], (uint16_t)mean.meant[0],
                    (uint16_t)mean.meant[1]};
    const le_mean_by by = scaling_of(&mean, (uint32_t)area.runs * area.pixels);
    for (size_t i = mean.kept[0]; i != 0; i--, area.start += mean.kept_steps[0], output += mean.kept[1]) {
        const int8_t *x = area.start;
        size_t done = 0;
        if (mean.kept_steps[1] == 1) {
            done = means_of(&area, &by, mean.kept[1], output);
            x += done;
        }
        for (; done != mean.kept[1]; done++, x += mean.kept_steps[1]) {
            const uint32_t sum = (uint32_t)(area.pixel == 1 ? sum_along(&area, x) : sum_of_one(&area, x));
            put_means(&sum, 1, &by, output + done);
        }
    }
}
