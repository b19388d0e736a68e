/* Kernels for x86-64 hosts: what they share. VNNI or AVX2 where the compiler has it switched on (-mavx2, -march=native), else
 * SSE2, which every x86-64 has; all read the same tables.
 *
 * A "group" is eight channels, or outputs, side by side in the int32 lanes of one AVX2 register or of two SSE2 ones; the
 * last group is filled up with zeros. Sums become int8 in one of two ways. On the tie-free grid as le_kernels.h says:
 * n = sum + bias, of which the upper half of n * multiplier saturates. Else as TFLM does it, see le_rounded.
 */
#ifndef LE_X86_H
#define LE_X86_H

#include "le_registers_x86.h"

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LE_X86_GROUP 8

/* Per channel, with the last group filled up. shift: NULL on the tie-free grid, where the zero point is in the bias and
 * zero_point is 0; else to the right, 0 to 31, and the multiplier is Q0.31. */
typedef struct {
    LE_TABLE int32_t *bias, *multiplier, *shift;
    int16_t zero_point, clamp_min, clamp_max;
} le_x86_requantization;

/* Kernels that take inputs as u = x + 128, uint8. The bias has 128 times the sum of the weights in it. On the tie-free
 * grid, where every weight is even and at most 126, the weights are halved, h = w / 2, so that a pair of products is at
 * most 2 * 255 * 63 = 32,130, which PMADDUBSW does not saturate; n = 2 * sum + bias. Elsewhere they are whole, and
 * n = sum + bias.
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
 * quads: int8 [group][quad][channel][4], the same weights as le_one_avx512.h takes them: the first four taps of each row,
 *   and of 5 x 5 the fifth of the first four rows, then three zeros and the last tap.
 * pitch: bytes from a row of a plane to the next, a multiple of 32, plane: of a plane; lines: of the image with its
 *   padding, odd. scratch: nine planes, then the image, (lines + 1) * pitch bytes; 256 * (lines + 1) with AVX-512. */
#define LE_X86_ONE_CHANNELS 6
typedef struct {
    le_windows windows;
    uint16_t pitch, lines;
    uint32_t plane;
    LE_TABLE int16_t *weights;
    LE_TABLE int8_t *quads;
    le_x86_requantization to;
} le_x86_one;
void le_conv2d_one_x86_s8(LE_TABLE le_x86_one *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* The same of two or more input channels, in `pairs`, the last of which may have a channel of zero weights.
 * weights: int16 [group][part][row of taps][column][pair][8][2], `group` int16 each group. n = sum + bias.
 * quads: int8 [group of 16 channels][row of the kernel][quad][16][4], the same weights as le_tiles_avx512.h takes them: a
 *   row of the kernel ends with zeros.
 * rows, columns: of a plane; row: bytes from a row to the next, a multiple of 32 with room for a further place. scratch:
 *   nine planes, the image as int16, 4 * rows + 1 rows of `row` bytes, the image as int8, 8 bytes. */
typedef struct {
    le_windows windows;
    uint16_t pairs, rows, columns;
    uint32_t row, group;
    LE_TABLE int16_t *weights;
    LE_TABLE int8_t *quads;
    le_x86_requantization to;
} le_x86_tiles;
void le_conv2d_tiles_x86_s8(LE_TABLE le_x86_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* A depthwise convolution of any window, one output of each input channel, with or without pooling.
 * weights: int8 [group of LE_X86_DEPTHWISE_CHANNELS][quad][16][4], halved or whole: four taps of the window that follow
 *   each other, row by row, are a quad; the last one is filled up with zeros. Bias, multiplier and shift are filled up to
 *   whole groups. scratch: 16 * quads bytes, then the image as for le_x86_rows, then 15 bytes. */
#define LE_X86_DEPTHWISE_CHANNELS 16
typedef struct {
    le_windows windows;
    uint16_t lines, quads;
    uint32_t line;
    LE_TABLE int8_t *weights;
    le_x86_requantization to;
} le_x86_depthwise;
void le_depthwise_x86_s8(LE_TABLE le_x86_depthwise *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* --- eight int32 lanes ---------------------------------------------------------------------------------------------- */

#ifdef __AVX2__
typedef __m256i le_lanes;
#define LE_LANES(name, a, b) name(a, b)
#else
typedef struct {
    __m128i low, high;
} le_lanes;
#define LE_LANES(name, a, b) {name((a).low, (b).low), name((a).high, (b).high)}
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

static inline le_lanes le_sum(le_lanes a, le_lanes b)
{
    const le_lanes sum = LE_LANES(LE_SIMD(add_epi32), a, b);
    return sum;
}

static inline le_lanes le_maximum(le_lanes a, le_lanes b)
{
    const le_lanes largest = LE_LANES(le_maximum_words, a, b);
    return largest;
}

/* The results of a group that begins with channel `first`, from n, still without zero point and clamp. */
static inline le_lanes le_results(le_lanes n, const le_x86_requantization *to, size_t first)
{
    const le_lanes m = le_load(to->multiplier + first);
    if (to->shift) {
        const le_lanes shift = le_load(to->shift + first);
#ifdef __AVX2__
        return le_rounded(n, m, shift);
#else
        const le_lanes rounded = {le_rounded(n.low, m.low, shift.low), le_rounded(n.high, m.high, shift.high)};
        return rounded;
#endif
    }
    const le_lanes high = LE_LANES(le_high_words, n, m);
    return high;
}

/* The int8 outputs of the `count` channels, 1 to 8, from `first` on. n: the sums with their bias. */
static inline void le_group_s8(le_lanes n, const le_x86_requantization *to, size_t first, int8_t *output, size_t count)
{
    const le_lanes results = le_results(n, to, first);
#ifdef __AVX2__
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(results), _mm256_extracti128_si256(results, 1));
#else
    const __m128i words = _mm_packs_epi32(results.low, results.high);
#endif
    const __m128i placed = LE_X86_PLACED(LE_SIMD_128, words, to), values = _mm_packs_epi16(placed, placed);
    if (count >= LE_X86_GROUP) {
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

/* The lanes of LE_X86_WIDE groups: two with AVX-512, one elsewhere. */
#ifdef LE_X86_AVX512
#define LE_X86_WIDE 2
typedef __m512i le_wide, le_quad;
#else
#define LE_X86_WIDE 1
typedef le_lanes le_wide;
typedef le_words le_quad;
#endif

static inline le_wide le_wide_zero(void)
{
#ifdef LE_X86_AVX512
    return _mm512_setzero_si512();
#else
    return le_zero();
#endif
}

/* Weights of a group, and of the one that is `next` bytes further on. */
static inline le_wide le_wide_load(LE_TABLE int8_t *weights, size_t next)
{
#ifdef LE_X86_AVX512
    return _mm512_inserti64x4(_mm512_castsi256_si512(le_load(weights)), le_load(weights + next), 1);
#else
    (void)next;
    return le_load(weights);
#endif
}

static inline le_wide le_wide_add(le_wide a, le_wide b)
{
#ifdef LE_X86_AVX512
    return _mm512_add_epi32(a, b);
#else
    return le_sum(a, b);
#endif
}

static inline le_wide le_wide_maximum(le_wide a, le_wide b)
{
#ifdef LE_X86_AVX512
    return _mm512_max_epi32(a, b);
#else
    return le_maximum(a, b);
#endif
}

/* The lanes of one of its groups. */
static inline le_lanes le_wide_group(le_wide a, size_t group)
{
#ifdef LE_X86_AVX512
    return group == 0 ? _mm512_castsi512_si256(a) : _mm512_extracti64x4_epi64(a, 1);
#else
    (void)group;
    return a;
#endif
}

/* Four uint8 in every lane. */
static inline le_quad le_load_quad(const uint8_t *inputs)
{
    int32_t bytes;
    memcpy(&bytes, inputs, sizeof bytes);
#ifdef LE_X86_AVX512
    return _mm512_set1_epi32(bytes);
#else
    return LE_SIMD(set1_epi32)(bytes);
#endif
}

/* Adds the products of a quad of inputs and of each lane's four weights. */
static inline le_wide le_add_quad(le_wide sum, le_quad x, le_wide weights, int whole)
{
#if defined(LE_X86_AVX512)
    (void)whole;
    return _mm512_dpbusd_epi32(sum, x, weights);
#elif defined(__AVX2__)
    return le_dot(sum, x, weights, whole);
#else
    const le_lanes added = {le_dot(sum.low, x, weights.low, whole), le_dot(sum.high, x, weights.high, whole)};
    return added;
#endif
}

/* The outputs of a group as le_group_s8 has it, from sums of quads: of halved weights they are half. */
static inline void le_quads_s8(le_lanes sum, const le_x86_requantization *to, size_t first, int8_t *output, size_t count)
{
    const le_lanes whole = to->shift ? sum : le_sum(sum, sum);
    le_group_s8(le_sum(whole, le_load(to->bias + first)), to, first, output, count);
}

/* --- the image as uint8 --------------------------------------------------------------------------------------------- */

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

/* The image with its padding, `lines` of `line` bytes, then `slack` zeros: loads may reach over the end. */
static inline void le_to_unsigned_image(const le_windows *windows, size_t lines, size_t line, const int8_t *input,
                                        uint8_t *to, size_t slack)
{
    const size_t channels = windows->input.channels, width = windows->input.width * channels;
    const size_t before = windows->pad_left * channels;
    const size_t copied = line - before < width ? line - before : width;
    const uint8_t padding = (uint8_t)(windows->padding_value + 128);
    if (windows->pad_top == 0 && before == 0 && line == width && lines == windows->input.height) { /* as it is */
        le_to_unsigned(input, to, lines * line);
        memset(to + lines * line, 0, slack);
        return;
    }
    for (size_t y = 0; y < lines; y++, to += line) {
        const size_t row = y - windows->pad_top; /* a huge number above the image */
        if (row >= windows->input.height) {
            memset(to, padding, line);
            continue;
        }
        memset(to, padding, before);
        le_to_unsigned(input + row * width, to + before, copied);
        memset(to + before + copied, padding, line - before - copied);
    }
    memset(to, 0, slack);
}

#ifdef __cplusplus
}
#endif

#endif
