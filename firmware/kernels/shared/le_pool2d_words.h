/* Four channels are a word: le_sums_words.h. */
#ifndef LE_POOL2D_WORDS_H
#define LE_POOL2D_WORDS_H

/* A window of many pixels. */
static uint16_t le_average_parts(const le_area *area, const le_divisor *by, uint16_t channels, int8_t *output)
{
    uint16_t done = 0;
    for (; channels - done >= 4; done = (uint16_t)(done + 4)) {
        uint32_t sums[4] = {0, 0, 0, 0};
        le_add_parts(area, area->start + done, sums, LE_ADD_FOUR(area));
        for (uint8_t i = 0; i < 4; i++) {
            *output++ = le_mean_of(sums[i], by);
        }
    }
    return done;
}

static inline uint16_t le_average_by(const le_area *area, const le_divisor *by, uint16_t channels, int8_t *output, int aligned)
{
    const le_divisor divisor = *by;
    uint16_t done = 0;
    for (; channels - done >= 4; done = (uint16_t)(done + 4), output += 4) {
        const le_sums sums = le_sums_of(area, area->start + done, aligned);
        output[0] = le_mean_at_once(sums.even & 0xffff, &divisor);
        output[1] = le_mean_at_once(sums.odd & 0xffff, &divisor);
        output[2] = le_mean_at_once(sums.even >> 16, &divisor);
        output[3] = le_mean_at_once(sums.odd >> 16, &divisor);
    }
    return done;
}

static uint16_t le_average_fours(const le_area *area, const le_divisor *by, uint16_t channels, int8_t *output)
{
    if (by->count > LE_MOST_AT_ONCE) {
        return le_average_parts(area, by, channels, output);
    }
    return LE_IS_ALIGNED(area) ? le_average_by(area, by, channels, output, 1)
                               : le_average_by(area, by, channels, output, 0);
}

#if defined(__ARM_FEATURE_DSP)
static inline void le_largest_by(const le_area *area, const int8_t *x, int8_t *output, int aligned)
{
    uint32_t largest = 0x80808080u;
    LE_FOR_RUNS(area, x) {
        LE_FOR_PIXELS(area, x, p) {
            const uint32_t values = le_word_at(p, aligned);
            uint32_t scratch;
            __asm__("ssub8 %1, %2, %0\n\tsel %0, %2, %0" : "+r"(largest), "=&r"(scratch) : "r"(values));
        }
    }
    __builtin_memcpy(output, &largest, 4);
}
#elif defined(__AVR__)
static inline void le_largest_by(const le_area *area, const int8_t *x, int8_t *output, int aligned)
{
    int8_t l0 = -128, l1 = -128, l2 = -128, l3 = -128;
    LE_FOR_RUNS(area, x) {
        LE_FOR_PIXELS(area, x, p) {
            l0 = p[0] > l0 ? p[0] : l0;
            l1 = p[1] > l1 ? p[1] : l1;
            l2 = p[2] > l2 ? p[2] : l2;
            l3 = p[3] > l3 ? p[3] : l3;
        }
    }
    output[0] = l0;
    output[1] = l1;
    output[2] = l2;
    output[3] = l3;
}
#else
static inline int32_t le_larger(int32_t a, uint32_t b)
{
    return (int32_t)b > a ? (int32_t)b : a;
}

/* Each channel in turn is at the top of the word; what is below decides among equals only. */
static inline void le_largest_by(const le_area *area, const int8_t *x, int8_t *output, int aligned)
{
    int32_t l0 = INT32_MIN, l1 = INT32_MIN, l2 = INT32_MIN, l3 = INT32_MIN;
    LE_FOR_RUNS(area, x) {
        LE_FOR_PIXELS(area, x, p) {
            const uint32_t values = le_word_at(p, aligned);
            l0 = le_larger(l0, values << 24);
            l1 = le_larger(l1, values << 16);
            l2 = le_larger(l2, values << 8);
            l3 = le_larger(l3, values);
        }
    }
    output[0] = (int8_t)(l0 >> 24);
    output[1] = (int8_t)(l1 >> 24);
    output[2] = (int8_t)(l2 >> 24);
    output[3] = (int8_t)(l3 >> 24);
}
#endif

static uint16_t le_largest_fours(const le_area *area, const le_divisor *by, uint16_t channels, int8_t *output)
{
    (void)by;
    uint16_t done = 0;
    if (LE_IS_ALIGNED(area)) {
        for (; channels - done >= 4; done = (uint16_t)(done + 4), output += 4) {
            le_largest_by(area, area->start + done, output, 1);
        }
    }
    for (; channels - done >= 4; done = (uint16_t)(done + 4), output += 4) {
        le_largest_by(area, area->start + done, output, 0);
    }
    return done;
}

#endif
