/* le_move.c for speed: bytes that lie one behind the other go in words, with MVE in vectors. */
#include "le_tensors.h"

#include <string.h>

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>

static inline void copy(int8_t *target, const int8_t *source, size_t count)
{
    for (; count > 16; count -= 16, source += 16, target += 16) {
        vstrbq_s8(target, vldrbq_s8(source));
    }
    const mve_pred16_t rest = vctp8q((uint32_t)count);
    vstrbq_p_s8(target, vldrbq_z_s8(source, rest), rest);
}

void le_fill_s8(int8_t *target, int8_t value, size_t count)
{
    const int8x16_t values = vdupq_n_s8(value);
    for (; count > 16; count -= 16, target += 16) {
        vstrbq_s8(target, values);
    }
    vstrbq_p_s8(target, values, vctp8q((uint32_t)count));
}
#elif defined(LE_WORDS) || defined(__riscv) || (defined(__arm__) && __ARM_ARCH_PROFILE == 'M') /* with a libc that is small */
#define WORD 4
#define BLOCK (4 * WORD)

#if defined(__ARM_FEATURE_UNALIGNED)
#define MEET(a, b) 1
static inline uint32_t word_at(const int8_t *x)
{
    uint32_t value;
    __builtin_memcpy(&value, x, WORD);
    return value;
}

static inline void put_word(int8_t *x, uint32_t value) { __builtin_memcpy(x, &value, WORD); }
#else
#define MEET(a, b) ((((uintptr_t)(a) ^ (uintptr_t)(b)) & (WORD - 1)) == 0)
typedef uint32_t __attribute__((may_alias)) word;

static inline uint32_t word_at(const int8_t *x) { return *(const word *)(const void *)x; }

static inline void put_word(int8_t *x, uint32_t value) { *(word *)(void *)x = value; }
#endif

static inline void copy_block(int8_t *target, const int8_t *source)
{
    uint32_t words[4];
    for (uint8_t i = 0; i < 4; i++) {
        words[i] = word_at(source + i * WORD);
    }
    for (uint8_t i = 0; i < 4; i++) {
        put_word(target + i * WORD, words[i]);
    }
}

static inline void copy_bytes(int8_t *target, const int8_t *source, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        target[i] = source[i];
    }
}

#if defined(__arm__) && __ARM_ARCH_ISA_THUMB == 1
__attribute__((noinline)) /* so that its loops have all registers */
#endif
static void copy_words(int8_t *target, const int8_t *source, size_t count)
{
    for (; ((uintptr_t)target & (WORD - 1)) != 0; count--) {
        *target++ = *source++;
    }
    for (; count >= BLOCK; count -= BLOCK, source += BLOCK, target += BLOCK) {
        copy_block(target, source);
    }
    for (; count >= WORD; count -= WORD, source += WORD, target += WORD) {
        put_word(target, word_at(source));
    }
    copy_bytes(target, source, count);
}

static inline void copy(int8_t *target, const int8_t *source, size_t count)
{
    if (count > 2 * WORD && MEET(target, source)) {
        copy_words(target, source, count);
    } else {
        copy_bytes(target, source, count);
    }
}

void le_fill_s8(int8_t *target, int8_t value, size_t count)
{
    const uint32_t four = 0x01010101u * (uint8_t)value;
    for (; count != 0 && ((uintptr_t)target & (WORD - 1)) != 0; count--) {
        *target++ = value;
    }
    for (; count >= BLOCK; count -= BLOCK, target += BLOCK) {
        for (uint8_t i = 0; i < 4; i++) {
            __builtin_memcpy(__builtin_assume_aligned(target + i * WORD, WORD), &four, WORD);
        }
    }
    for (; count != 0; count--) {
        *target++ = value;
    }
}
#else
#ifndef __AVR__ /* its memcpy does not read flash */
static inline void copy(int8_t *target, const int8_t *source, size_t count) { memcpy(target, source, count); }
#endif

void le_fill_s8(int8_t *target, int8_t value, size_t count) { memset(target, value, count); }
#endif

static void move_run(LE_TABLE int8_t *source, ptrdiff_t from, int8_t *target, ptrdiff_t to, size_t count)
{
#ifndef __AVR__
    if (from == 1 && to == 1) {
        copy(target, source, count);
        return;
    }
#endif
    for (; count != 0; count--, source += from, target += to) {
        *target = *source;
    }
}

void le_move_words_s8(LE_TABLE le_region *region, LE_TABLE int8_t *source, int8_t *target)
{
    const le_region by = *region;
    for (size_t i = 0; i < by.counts[0]; i++, source += by.from[0], target += by.to[0]) {
        LE_TABLE int8_t *from1 = source;
        int8_t *to1 = target;
        for (size_t j = 0; j < by.counts[1]; j++, from1 += by.from[1], to1 += by.to[1]) {
            LE_TABLE int8_t *from2 = from1;
            int8_t *to2 = to1;
            for (size_t k = 0; k < by.counts[2]; k++, from2 += by.from[2], to2 += by.to[2]) {
                move_run(from2, by.from[3], to2, by.to[3], by.counts[3]);
            }
        }
    }
}
