/* A convolution of one input channel, 3 x 3 or 5 x 5, with the pooling of 2 x 2 behind it: sixteen windows of a row side by
 * side (SSE2: eight), by six channels.
 *
 * A window's four positions are found by a fast FIR algorithm, which saves multiplications and is exact in integers. Along
 * one axis, with x0, x1 the even and odd inputs and h0, h1 the even and odd taps:
 *     p2 = (h0 + h1) * x1;  p1 = h0 * (x0 - x1);  p3 = h1 * (x0[+1] - x1)
 *     even position = p1 + p2;  odd position = p2 + p3
 * which is 3 + 3 + 2 products instead of 10 for 5 taps. Along both axes it is nine parts with 64 instead of 100 products,
 * each part a plane of differences of inputs (at most 510) and a small kernel of sums of weights (at most 512).
 *
 * AVX2, two taps of a part: 2 loads and 2 PUNPCK make the pairs of inputs, then for each of six channels a broadcast load
 * and 2 x (PMADDWD, PADDD). 34 such pairs of taps for 5 x 5: 34 x 34 instructions for 6 x 16 x 4 x 25 MACs, 0.12 a MAC.
 * Registers: 12 sums, 2 of inputs, a weight. With AVX-512 VNNI le_one_avx512.h finds the sums. */
#include "le_x86.h"
#ifdef LE_X86_AVX512
#include "le_one_avx512.h"
#endif

#define CHANNELS LE_X86_ONE_CHANNELS
#define MOST_PAIRS 34
#define PARTS 9

#define WINDOWS (sizeof(le_words) / sizeof(int16_t)) /* a word of each */
#define SUBTRACT(a, b) LE_SIMD(sub_epi16)(a, b)
#define LOWER_BYTES(a) UPPER_BYTES(LE_SIMD(slli_epi16)(a, 8))
#define UPPER_BYTES(a) LE_SIMD(srai_epi16)(a, 8)
#define PAIRS_LOW(a, b) LE_SIMD(unpacklo_epi16)(a, b)
#define PAIRS_HIGH(a, b) LE_SIMD(unpackhi_epi16)(a, b)
#define BROADCAST(a) LE_SIMD(set1_epi32)(a)
#define ADD(a, b) LE_SIMD(add_epi32)(a, b)

typedef struct {
    le_words of[2 * CHANNELS]; /* of each channel the windows that PUNPCKL takes, those that PUNPCKH takes */
} le_sums;

#ifndef LE_X86_AVX512

/* Where two taps find their inputs: bytes from the window's place in the first plane. */
typedef struct {
    size_t first, second;
} le_pair;

/* The pairs of taps of all parts, in the order of the weights; pairs of part i are starts[i] to starts[i + 1] - 1. */
typedef struct {
    le_pair pairs[MOST_PAIRS];
    size_t starts[PARTS + 1];
} le_taps;

/* A part has `rows` x `columns` taps: of two rows above each other, of the last odd row next to each other. */
static size_t list_part(le_pair *pairs, size_t rows, size_t columns, size_t plane, size_t pitch)
{
    size_t count = 0;
    for (size_t row = 0; row < rows; row += 2) {
        const int last = row + 1 == rows;
        for (size_t column = 0; column < columns; column += last ? 2 : 1, count++) {
            const size_t at = plane + row * pitch + 2 * column;
            const size_t next = column + 1 < columns ? at + 2 : at; /* whose weight is 0 where there is none */
            pairs[count].first = at;
            pairs[count].second = last ? next : at + pitch;
        }
    }
    return count;
}

static void list_taps(LE_TABLE le_x86_one *layer, le_taps *taps)
{
    const size_t even = (layer->windows.window_w + 1u) / 2, sizes[3] = {even, even, even - 1};
    size_t count = 0;
    for (size_t part = 0; part < PARTS; part++) {
        taps->starts[part] = count;
        count += list_part(taps->pairs + count, sizes[part % 3], sizes[part / 3], part * layer->plane, layer->pitch);
    }
    taps->starts[PARTS] = count;
}

/* --- planes ----------------------------------------------------------------------------------------------------------- */

/* The image with its padding, int8 [lines][pitch]: two columns of it for each int16 of a plane. */
static void copy_image(LE_TABLE le_x86_one *layer, const int8_t *input, int8_t *image)
{
    const le_windows *const windows = &layer->windows;
    const size_t pitch = layer->pitch, width = windows->input.width;
    const size_t copied = pitch - windows->pad_left < width ? pitch - windows->pad_left : width;
    memset(image, windows->padding_value, (layer->lines + 1u) * pitch);
    for (size_t y = 0; y < windows->input.height && y + windows->pad_top < layer->lines; y++) {
        memcpy(image + (y + windows->pad_top) * pitch + windows->pad_left, input + y * width, copied);
    }
}

/* Along a row, from a pair of columns in each int16: x1, x0 - x1, x0[+1] - x1. */
static inline void parts_of_row(const int8_t *row, le_words parts[3])
{
    const le_words here = le_load_words(row), odd = UPPER_BYTES(here);
    parts[0] = odd;
    parts[1] = SUBTRACT(LOWER_BYTES(here), odd);
    parts[2] = SUBTRACT(LOWER_BYTES(le_load_words(row + 2)), odd);
}

/* planes: int16 [part of the columns][part of the rows][lines / 2][pitch / 2]. */
static void make_planes(LE_TABLE le_x86_one *layer, const int8_t *image, int8_t *planes)
{
    const size_t pitch = layer->pitch, plane = layer->plane;
    for (size_t line = 0; line + 2 < layer->lines; line += 2, image += 2 * pitch, planes += pitch) {
        for (size_t x = 0; x < pitch; x += 2 * WINDOWS) {
            le_words even[3], odd[3], next[3];
            parts_of_row(image + x, even);
            parts_of_row(image + x + pitch, odd);
            parts_of_row(image + x + 2 * pitch, next);
            int8_t *to = planes + x;
            LE_X86_UNROLL
            for (size_t c = 0; c < 3; c++, to += 3 * plane) {
                le_store_words(to, odd[c]);
                le_store_words(to + plane, SUBTRACT(even[c], odd[c]));
                le_store_words(to + 2 * plane, SUBTRACT(next[c], odd[c]));
            }
        }
    }
}

/* --- sums ------------------------------------------------------------------------------------------------------------- */

/* The weights of a group of channels, the first window in the first plane. */
typedef struct {
    LE_TABLE int16_t *weights;
    const int8_t *planes;
} le_place;

/* The products of one part, added to the sums that `from` and `with` point to, NULL for none. largest: `to`
 * keeps what is larger there. */
static LE_X86_APART void add_part(const le_taps *taps, size_t part, le_place at, const le_sums *from, const le_sums *with,
                                 le_sums *to, int largest)
{
    le_words own[2 * CHANNELS];
    LE_X86_UNROLL
    for (size_t i = 0; i < 2 * CHANNELS; i++) {
        own[i] = from ? from->of[i] : le_zero_words();
    }
    if (with) {
        LE_X86_UNROLL
        for (size_t i = 0; i < 2 * CHANNELS; i++) {
            own[i] = ADD(own[i], with->of[i]);
        }
    }
    LE_TABLE int16_t *weights = at.weights + 2 * CHANNELS * taps->starts[part];
    for (size_t i = taps->starts[part]; i < taps->starts[part + 1]; i++, weights += 2 * CHANNELS) {
        const le_words first = le_load_words(at.planes + taps->pairs[i].first), second = le_load_words(at.planes + taps->pairs[i].second);
        const le_words low = PAIRS_LOW(first, second), high = PAIRS_HIGH(first, second);
        LE_X86_UNROLL
        for (size_t c = 0; c < CHANNELS; c++) {
            int32_t pair;
            memcpy(&pair, weights + 2 * c, sizeof pair);
            const le_words both = BROADCAST(pair);
            own[2 * c] = le_dot_pairs(own[2 * c], low, both);
            own[2 * c + 1] = le_dot_pairs(own[2 * c + 1], high, both);
        }
    }
    LE_X86_UNROLL
    for (size_t i = 0; i < 2 * CHANNELS; i++) {
        to->of[i] = largest ? le_maximum_words(own[i], to->of[i]) : own[i];
    }
}

/* The largest sum of each window. Parts: 3 * (that of the columns) + (that of the rows), each as p2, p1, p3. */
static void window_sums(const le_taps *taps, le_place at, le_sums *largest)
{
    le_sums both, even, odd;
    add_part(taps, 0, at, NULL, NULL, &both, 0);
    add_part(taps, 1, at, &both, NULL, &even, 0);
    add_part(taps, 2, at, &both, NULL, &odd, 0);
    for (size_t part = 3; part < PARTS; part += 3) {
        add_part(taps, part, at, NULL, NULL, &both, 0);
        add_part(taps, part + 1, at, &both, &even, largest, part != 3);
        add_part(taps, part + 2, at, &both, &odd, largest, 1);
    }
}

#endif /* LE_X86_AVX512 */

/* --- outputs ---------------------------------------------------------------------------------------------------------- */

/* The results of a channel, without zero point and clamp. */
static inline le_words results(le_words sums, const le_x86_requantization *to, size_t channel)
{
    const le_words n = ADD(sums, BROADCAST(to->bias[channel])), multiplier = BROADCAST(to->multiplier[channel]);
    return to->shift ? le_rounded(n, multiplier, BROADCAST(to->shift[channel])) : le_high_words(n, multiplier);
}

/* bytes: int8 [channel][16 windows]. */
static void to_int8(const le_sums *sums, LE_TABLE le_x86_requantization *to, size_t first, int8_t bytes[8][16])
{
    for (size_t c = 0; c < CHANNELS; c++) {
        const le_words low = results(sums->of[2 * c], to, first + c), high = results(sums->of[2 * c + 1], to, first + c);
        const le_words packed = LE_SIMD(packs_epi32)(low, high), words = LE_X86_PLACED(LE_SIMD, packed, to);
#ifdef __AVX2__
        const __m128i values = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
#else
        const __m128i values = _mm_packs_epi16(words, words);
#endif
        _mm_storeu_si128((__m128i *)(void *)bytes[c], values);
    }
}

/* [8 channels][16 windows] -> [16 windows][8 channels] */
static void transpose(int8_t bytes[8][16], int8_t windows[16][8])
{
    __m128i pairs[4][2], fours[2][4];
    LE_X86_UNROLL
    for (size_t i = 0; i < 4; i++) {
        const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)bytes[2 * i]);
        const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)bytes[2 * i + 1]);
        pairs[i][0] = _mm_unpacklo_epi8(a, b);
        pairs[i][1] = _mm_unpackhi_epi8(a, b);
    }
    LE_X86_UNROLL
    for (size_t i = 0; i < 2; i++) {
        LE_X86_UNROLL
        for (size_t half = 0; half < 2; half++) {
            fours[i][2 * half] = _mm_unpacklo_epi16(pairs[2 * i][half], pairs[2 * i + 1][half]);
            fours[i][2 * half + 1] = _mm_unpackhi_epi16(pairs[2 * i][half], pairs[2 * i + 1][half]);
        }
    }
    LE_X86_UNROLL
    for (size_t i = 0; i < 4; i++) {
        const __m128i low = _mm_unpacklo_epi32(fours[0][i], fours[1][i]);
        const __m128i high = _mm_unpackhi_epi32(fours[0][i], fours[1][i]);
        _mm_storeu_si128((__m128i *)(void *)windows[4 * i], low);
        _mm_storeu_si128((__m128i *)(void *)windows[4 * i + 2], high);
    }
}

static void write_windows(int8_t windows[16][8], size_t count, size_t channels, size_t next, int8_t *output)
{
    for (size_t x = 0; x < count; x++, output += next) {
        if (channels == 6) { /* of LeNet-5 */
            memcpy(output, windows[x], 4);
            memcpy(output + 4, windows[x] + 4, 2);
        } else {
            memcpy(output, windows[x], channels);
        }
    }
}

#ifdef LE_X86_AVX512
#define GROUP_BYTES(size) (4 * CHANNELS * QUADS(size)) /* of the weights of a group of channels */

/* What inputs of 128 too much add to the sums of each channel. */
static void surplus(LE_TABLE int8_t *weights, size_t size, int32_t sums[CHANNELS])
{
    memset(sums, 0, CHANNELS * sizeof *sums);
    for (size_t i = 0; i < GROUP_BYTES(size); i++) {
        sums[i / 4 % CHANNELS] += 128 * weights[i];
    }
}

void le_conv2d_one_x86_s8(LE_TABLE le_x86_one *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const size_t width = layer->windows.output.width, channels = layer->windows.output.channels;
    const size_t size = layer->windows.window_w;
    uint8_t *const lines = (uint8_t *)scratch + (-(uintptr_t)scratch & 63);
    int8_t bytes[8][16], windows[16][8];
    memset(bytes, 0, sizeof bytes);
    for (size_t x = 0; x < width; x += WINDOWS) {
        make_lines(layer, input, x, layer->lines, lines);
        LE_TABLE int8_t *weights = layer->quads;
        for (size_t c = 0; c < channels; c += CHANNELS, weights += GROUP_BYTES(size)) {
            int32_t more[CHANNELS];
            surplus(weights, size, more);
            for (size_t y = 0; y < layer->windows.output.height; y++) {
                __m512i largest[CHANNELS];
                le_sums sums;
                (size == 5 ? largest_of_five : largest_of_three)(weights, lines + 2 * y * LINE, largest);
                for (size_t i = 0; i < CHANNELS; i++) {
                    const __m512i sum = _mm512_sub_epi32(largest[i], _mm512_set1_epi32(more[i]));
                    sums.of[2 * i] = _mm512_castsi512_si256(sum);
                    sums.of[2 * i + 1] = _mm512_extracti64x4_epi64(sum, 1);
                }
                to_int8(&sums, &layer->to, c, bytes);
                transpose(bytes, windows);
                write_windows(windows, width - x < WINDOWS ? width - x : WINDOWS,
                              channels - c < CHANNELS ? channels - c : CHANNELS, channels,
                              output + (y * width + x) * channels + c);
            }
        }
    }
}
#else
void le_conv2d_one_x86_s8(LE_TABLE le_x86_one *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const size_t width = layer->windows.output.width, channels = layer->windows.output.channels;
    int8_t *const image = scratch + PARTS * (size_t)layer->plane;
    le_taps taps;
    int8_t bytes[8][16], windows[16][8];
    memset(bytes, 0, sizeof bytes);
    list_taps(layer, &taps);
    copy_image(layer, input, image);
    make_planes(layer, image, scratch);
    for (size_t y = 0; y < layer->windows.output.height; y++, output += width * channels) {
        for (size_t x = 0; x < width; x += WINDOWS) {
            le_place at = {layer->weights, scratch + y * layer->pitch + 2 * x};
            for (size_t c = 0; c < channels; c += CHANNELS, at.weights += 2 * CHANNELS * taps.starts[PARTS]) {
                le_sums largest;
                window_sums(&taps, at, &largest);
                to_int8(&largest, &layer->to, c, bytes);
                transpose(bytes, windows);
                write_windows(windows, width - x < WINDOWS ? width - x : WINDOWS,
                              channels - c < CHANNELS ? channels - c : CHANNELS, channels, output + x * channels + c);
            }
        }
    }
}
#endif
