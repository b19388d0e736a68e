/* Kernels for x86-64 hosts: what they share. AVX2 where the compiler has it switched on (-mavx2, -march=native), else
 * SSE2, which every x86-64 has; both read the same tables.
 *
 * A "group" is eight channels, or outputs, side by side in the int32 lanes of one AVX2 register or of two SSE2 ones; the
 * last group is filled up with zeros. Sums become int8 as le_kernels.h says: n = sum + bias, of which the upper half of
 * n * multiplier saturates.
 */
#ifndef LE_X86_H
#define LE_X86_H

#include "le_kernels.h"

#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#else
#error "these kernels need SSE2: compile for x86-64, or export the model with --kernels plain"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define LE_X86_GROUP 8

/* A loop over registers: without it GCC 12 leaves them in memory at -O2. clang unrolls by itself. */
#if defined(__GNUC__) && !defined(__clang__)
#define LE_X86_UNROLL _Pragma("GCC unroll 16")
#define LE_X86_APART LE_NOINLINE /* where several of these inlined into one function would take too many registers */
#else
#define LE_X86_UNROLL
#define LE_X86_APART inline
#endif

/* A function of which each caller has its own copy, with its constants in it. */
#ifdef __GNUC__
#define LE_X86_COPIED static inline __attribute__((always_inline))
#else
#define LE_X86_COPIED static inline
#endif

/* Per channel, with the last group filled up. */
typedef struct {
    LE_TABLE int32_t *bias, *multiplier;
} le_x86_requantization;

/* Kernels that take inputs as u = x + 128, uint8, and weights halved, h = w / 2: on the tie-free grid every weight is
 * even and at most 126, so that a pair of products is at most 2 * 255 * 63 = 32,130, which PMADDUBSW does not saturate.
 * n = 2 * sum + bias; the bias has 128 times the sum of the weights in it.
 * weights: [group][row of the kernel][quads][8][4]: four inputs that follow each other are a quad; a row ends with zeros. */
typedef struct {
    uint16_t inputs, outputs, quads;
    LE_TABLE int8_t *weights;
    le_x86_requantization to;
} le_x86_matrix;

/* Matrix times vector. scratch: 4 * quads bytes. */
void le_fully_connected_x86_s8(LE_TABLE le_x86_matrix *matrix, const int8_t *input, int8_t *scratch, int8_t *output);

/* Any convolution, with or without pooling: four positions at a time. matrix.inputs: of a row of the kernel, window_w *
 * input.channels. scratch: the image as uint8 with its padding, lines x line bytes, then 3 bytes. */
typedef struct {
    le_windows windows;
    le_x86_matrix matrix;
    uint16_t lines;
    uint32_t line;
} le_x86_rows;
void le_conv2d_rows_x86_s8(LE_TABLE le_x86_rows *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* A convolution of one input channel, kernel 3 x 3 or 5 x 5, stride 1, with a pooling of 2 x 2 and stride 2.
 * weights: int16 [group of LE_X86_ONE_CHANNELS][pair of taps][channel][2], pairs as le_conv2d_one_x86.c lists them; bias
 *   and multiplier are filled up to whole groups too. n = sum + bias.
 * pitch: bytes from a row of a plane to the next, a multiple of 32, plane: of a plane; lines: of the image with its
 *   padding, odd. scratch: nine planes, then the image, (lines + 1) * pitch bytes. */
#define LE_X86_ONE_CHANNELS 6
typedef struct {
    le_windows windows;
    uint16_t pitch, lines;
    uint32_t plane;
    LE_TABLE int16_t *weights;
    le_x86_requantization to;
} le_x86_one;
void le_conv2d_one_x86_s8(LE_TABLE le_x86_one *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* The same of two or more input channels, in `pairs`, the last of which may have a channel of zero weights.
 * weights: int16 [group][part][row of taps][column][pair][8][2], `group` int16 each group. n = sum + bias.
 * rows, columns: of a plane; row: bytes from a row to the next, a multiple of 32 with room for a further place. scratch:
 *   nine planes, the image as int16, 4 * rows + 1 rows of `row` bytes, the image as int8, 8 bytes. */
typedef struct {
    le_windows windows;
    uint16_t pairs, rows, columns;
    uint32_t row, group;
    LE_TABLE int16_t *weights;
    le_x86_requantization to;
} le_x86_tiles;
void le_conv2d_tiles_x86_s8(LE_TABLE le_x86_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* --- whole registers ------------------------------------------------------------------------------------------------ */

/* As many int16, or int32, as a register has; LE_SIMD(name) is the intrinsic for it. */
#ifdef __AVX2__
typedef __m256i le_words;
#define LE_SIMD(name) _mm256_##name
#else
typedef __m128i le_words;
#define LE_SIMD(name) _mm_##name
#endif

static inline le_words le_load_words(const void *from)
{
#ifdef __AVX2__
    return _mm256_loadu_si256((const __m256i *)from);
#else
    return _mm_loadu_si128((const __m128i *)from);
#endif
}

static inline void le_store_words(void *to, le_words a)
{
#ifdef __AVX2__
    _mm256_storeu_si256((__m256i *)to, a);
#else
    _mm_storeu_si128((__m128i *)to, a);
#endif
}

static inline le_words le_zero_words(void)
{
    return LE_SIMD(set1_epi32)(0);
}

/* --- eight int32 lanes ---------------------------------------------------------------------------------------------- */

#ifdef __AVX2__
typedef __m256i le_lanes;
#else
typedef struct {
    __m128i low, high;
} le_lanes;
#endif

static inline le_lanes le_zero(void)
{
#ifdef __AVX2__
    return _mm256_setzero_si256();
#else
    const le_lanes zero = {_mm_setzero_si128(), _mm_setzero_si128()};
    return zero;
#endif
}

static inline le_lanes le_load(const void *from)
{
#ifdef __AVX2__
    return _mm256_loadu_si256((const __m256i *)from);
#else
    const __m128i *const at = (const __m128i *)from;
    const le_lanes lanes = {_mm_loadu_si128(at), _mm_loadu_si128(at + 1)};
    return lanes;
#endif
}

static inline void le_store(void *to, le_lanes a)
{
#ifdef __AVX2__
    _mm256_storeu_si256((__m256i *)to, a);
#else
    __m128i *const at = (__m128i *)to;
    _mm_storeu_si128(at, a.low);
    _mm_storeu_si128(at + 1, a.high);
#endif
}

static inline le_lanes le_add(le_lanes a, le_lanes b)
{
#ifdef __AVX2__
    return _mm256_add_epi32(a, b);
#else
    const le_lanes sum = {_mm_add_epi32(a.low, b.low), _mm_add_epi32(a.high, b.high)};
    return sum;
#endif
}

#ifndef __AVX2__
static inline __m128i le_maximum_sse2(__m128i a, __m128i b)
{
    const __m128i larger = _mm_cmpgt_epi32(a, b);
    return _mm_or_si128(_mm_and_si128(larger, a), _mm_andnot_si128(larger, b));
}

/* The upper halves of n * m, m not negative: unsigned products, from which m goes where n is negative. */
static inline __m128i le_high_sse2(__m128i n, __m128i m)
{
    const __m128i even = _mm_srli_epi64(_mm_mul_epu32(n, m), 32);
    const __m128i odd = _mm_mul_epu32(_mm_srli_epi64(n, 32), _mm_srli_epi64(m, 32));
    const __m128i upper = _mm_slli_epi64(_mm_srli_epi64(odd, 32), 32);
    return _mm_sub_epi32(_mm_or_si128(even, upper), _mm_and_si128(_mm_srai_epi32(n, 31), m));
}
#endif

static inline le_words le_maximum_words(le_words a, le_words b)
{
#ifdef __AVX2__
    return _mm256_max_epi32(a, b);
#else
    return le_maximum_sse2(a, b);
#endif
}

static inline le_lanes le_maximum(le_lanes a, le_lanes b)
{
#ifdef __AVX2__
    return _mm256_max_epi32(a, b);
#else
    const le_lanes largest = {le_maximum_sse2(a.low, b.low), le_maximum_sse2(a.high, b.high)};
    return largest;
#endif
}

/* The upper halves of n * m, which saturate to the output. */
static inline le_lanes le_high(le_lanes n, le_lanes m)
{
#ifdef __AVX2__
    const __m256i even = _mm256_srli_epi64(_mm256_mul_epi32(n, m), 32);
    const __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(n, 32), _mm256_srli_epi64(m, 32));
    return _mm256_blend_epi32(even, odd, 0xAA);
#else
    const le_lanes high = {le_high_sse2(n.low, m.low), le_high_sse2(n.high, m.high)};
    return high;
#endif
}

/* n * m as eight int8 in the lower half. */
static inline __m128i le_int8(le_lanes n, le_lanes m)
{
    const le_lanes results = le_high(n, m);
#ifdef __AVX2__
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(results), _mm256_extracti128_si256(results, 1));
#else
    const __m128i words = _mm_packs_epi32(results.low, results.high);
#endif
    return _mm_packs_epi16(words, words);
}

/* The int8 outputs of a group of `count` channels, 1 to 8, from n. */
static inline void le_group_s8(le_lanes n, LE_TABLE int32_t *multiplier, int8_t *output, size_t count)
{
    const __m128i values = le_int8(n, le_load(multiplier));
    if (count == LE_X86_GROUP) {
        _mm_storel_epi64((__m128i *)(void *)output, values);
        return;
    }
    int8_t bytes[16];
    _mm_storeu_si128((__m128i *)(void *)bytes, values);
    for (size_t i = 0; i < count; i++) {
        output[i] = bytes[i];
    }
}

/* --- quads ---------------------------------------------------------------------------------------------------------- */

/* Four uint8 in every lane; for SSE2 as int16, the first and third of each quad apart from the second and fourth. */
#ifdef __AVX2__
typedef __m256i le_quad;
#else
typedef struct {
    __m128i even, odd;
} le_quad;
#endif

static inline le_quad le_load_quad(const uint8_t *inputs)
{
    int32_t bytes;
    memcpy(&bytes, inputs, sizeof bytes);
#ifdef __AVX2__
    return _mm256_set1_epi32(bytes);
#else
    const __m128i all = _mm_set1_epi32(bytes);
    const le_quad quad = {_mm_and_si128(all, _mm_set1_epi16(0xFF)), _mm_srli_epi16(all, 8)};
    return quad;
#endif
}

#ifndef __AVX2__
static inline __m128i le_add_quad_sse2(__m128i sum, le_quad x, __m128i weights)
{
    const __m128i odd = _mm_madd_epi16(x.odd, _mm_srai_epi16(weights, 8));
    const __m128i even = _mm_madd_epi16(x.even, _mm_srai_epi16(_mm_slli_epi16(weights, 8), 8));
    return _mm_add_epi32(sum, _mm_add_epi32(odd, even));
}
#endif

/* Adds the products of a quad of inputs and of each lane's four weights. */
static inline le_lanes le_add_quad(le_lanes sum, le_quad x, le_lanes weights)
{
#ifdef __AVX2__
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, weights), _mm256_set1_epi16(1)));
#else
    const le_lanes added = {le_add_quad_sse2(sum.low, x, weights.low), le_add_quad_sse2(sum.high, x, weights.high)};
    return added;
#endif
}

/* u = x + 128 */
static inline void le_to_unsigned(const int8_t *from, uint8_t *to, size_t count)
{
    const __m128i flip = _mm_set1_epi8(-128);
    for (; count >= 16; count -= 16, from += 16, to += 16) {
        const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)from);
        _mm_storeu_si128((__m128i *)(void *)to, _mm_xor_si128(x, flip));
    }
    for (; count != 0; count--) {
        *to++ = (uint8_t)(*from++ + 128);
    }
}

#ifdef __cplusplus
}
#endif

#endif
