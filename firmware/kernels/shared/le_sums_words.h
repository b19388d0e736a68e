/* Four channels are a word, loaded at once where they lie at a multiple of four bytes or the processor does not mind, else
 * byte by byte. */
#ifndef LE_SUMS_WORDS_H
#define LE_SUMS_WORDS_H

#if defined(__ARM_FEATURE_UNALIGNED) || defined(__AVR__) || defined(__x86_64__) || defined(__i386__)
#define LE_ANY_ADDRESS 1
#define LE_IS_WORD(x) 1
#define LE_ALIGNED(x) (x)
#else
#define LE_ANY_ADDRESS 0
#define LE_IS_WORD(x) (((uintptr_t)(x) & 3) == 0)
#define LE_ALIGNED(x) __builtin_assume_aligned(x, 4)
#endif
#define LE_IS_ALIGNED(area) (LE_IS_WORD((area)->start) && LE_IS_WORD((area)->pixel))

/* aligned: as of LE_IS_ALIGNED; a constant. */
static inline uint32_t le_word_at(const int8_t *x, int aligned)
{
    uint32_t word;
    if (aligned) {
        __builtin_memcpy(&word, LE_ALIGNED(x), 4);
    } else {
        __builtin_memcpy(&word, x, 4);
    }
    return word;
}

#define LE_OFFSET 128 /* in the sums, for each value */

/* Sums of four channels, each LE_OFFSET more for each value, in the halves of two words: of channels 0 and 2, 1 and 3. */
typedef struct {
    uint32_t even, odd;
} le_sums;

#if defined(__ARM_FEATURE_DSP)
static inline le_sums le_sums_of(const le_area *area, const int8_t *x, int aligned)
{
    const uint32_t first = 0x800080u * (uint32_t)(area->runs * area->pixels);
    le_sums sums = {first, first};
    LE_FOR_RUNS(area, x) {
        LE_FOR_PIXELS(area, x, p) {
            const uint32_t values = le_word_at(p, aligned);
            __asm__("sxtab16 %0, %0, %1" : "+r"(sums.even) : "r"(values));
            __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(sums.odd) : "r"(values));
        }
    }
    return sums;
}
#else
#if defined(__ARM_ARCH) && __ARM_ARCH_ISA_THUMB == 1
/* With eight registers and two operands: none is copied where "even" takes in all four, of which no carry is missed. */
#define LE_KEEP(constant) __asm__("" : "+l"(constant))
static inline void le_add_word(le_sums *sums, uint32_t values, uint32_t even)
{
    sums->even += values;
    sums->odd += values >> 8 & even;
}

static inline void le_part(le_sums *sums) { sums->even -= sums->odd << 8; }
#else
#define LE_KEEP(constant) ((void)(constant))
static inline void le_add_word(le_sums *sums, uint32_t values, uint32_t even)
{
    sums->even += values & even;
    sums->odd += values >> 8; /* and 256 times channel 2 */
}

static inline void le_part(le_sums *sums) { sums->odd -= sums->even >> 16 << 8; }
#endif

static inline le_sums le_sums_of_bytes(const le_area *area, const int8_t *x)
{
    int32_t s0 = LE_OFFSET * (int32_t)area->runs * area->pixels, s1 = s0, s2 = s0, s3 = s0;
    LE_FOR_RUNS(area, x) {
        LE_FOR_PIXELS(area, x, p) {
            s0 += p[0];
            s1 += p[1];
            s2 += p[2];
            s3 += p[3];
        }
    }
    const le_sums sums = {(uint32_t)s0 | (uint32_t)s2 << 16, (uint32_t)s1 | (uint32_t)s3 << 16};
    return sums;
}

static inline le_sums le_sums_of(const le_area *area, const int8_t *x, int aligned)
{
    if (!aligned && !LE_ANY_ADDRESS) {
        return le_sums_of_bytes(area, x);
    }
    le_sums sums = {0, 0};
    uint32_t flip = 0x80808080u, even = 0x00ff00ffu;
    LE_KEEP(flip);
    LE_KEEP(even);
    LE_FOR_RUNS(area, x) {
        LE_FOR_PIXELS(area, x, p) {
            le_add_word(&sums, le_word_at(p, aligned) ^ flip, even);
        }
    }
    le_part(&sums);
    return sums;
}
#endif

static inline void le_add_sums(le_sums sums, uint32_t *into)
{
    into[0] += sums.even & 0xffff;
    into[1] += sums.odd & 0xffff;
    into[2] += sums.even >> 16;
    into[3] += sums.odd >> 16;
}

static inline void le_add_four(const le_area *area, const int8_t *x, uint32_t *into)
{
    le_add_sums(le_sums_of(area, x, 0), into);
}

#if LE_ANY_ADDRESS
#define LE_ADD_FOUR(area) le_add_four
#else
static void le_add_words(const le_area *area, const int8_t *x, uint32_t *into)
{
    le_add_sums(le_sums_of(area, x, 1), into);
}
#define LE_ADD_FOUR(area) (LE_IS_ALIGNED(area) ? le_add_words : le_add_four)
#endif

#endif
