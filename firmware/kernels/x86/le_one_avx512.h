/* What le_conv2d_one_x86.c does where there is AVX-512 VNNI: VPDPBUSD takes bytes, of which the fast FIR algorithm has none,
 * four at a time: 28 products for 25 taps, in instructions for 64, cost less than its 16 in instructions for 16.
 *
 * A register has sixteen windows side by side, 32 columns of the image. Each line of the image becomes four registers, for
 * window i and the column 2i that it begins with:
 *     [0] columns 2i to 2i + 3, in the lane's four bytes     [1] the same, one column further on
 *     [2] column 2i + 4 of this line and of the next three   [3] the same, one column further on
 * A quad of taps finds its inputs in [0] for the even, and in [1] for the odd column of the pooling window, for the lower
 * row of that one line further on; the fifth column of taps is a quad and a single tap in [2] and [3]. So a quad takes 4
 * loads, and for each of six channels a broadcast load and 4 VPDPBUSD. Registers: 24 sums, 4 of inputs, a weight. */
#ifndef LE_ONE_AVX512_H
#define LE_ONE_AVX512_H

#include "le_x86.h"

#define LINE 256 /* bytes of a line's registers */
#define FIFTH 128 /* from [0] to [2] */
#define PLACES 4  /* of a pooling window */
#define QUADS(size) ((size) == 5 ? 7u : 3u) /* of taps of a channel */

/* Columns `first` to `first` + 63 of a line of the image with its padding, as x + 128. */
static inline __m512i padded_line(LE_TABLE le_windows *windows, const int8_t *input, size_t line, size_t first)
{
    const __m512i flip = _mm512_set1_epi8(-128), padding = _mm512_set1_epi8(windows->padding_value);
    const size_t y = line - windows->pad_top, width = windows->input.width; /* huge numbers above the image */
    if (y >= windows->input.height || first >= width + windows->pad_left) {
        return _mm512_xor_si512(padding, flip);
    }
    const int8_t *const row = input + y * width;
    const size_t skipped = first < windows->pad_left ? windows->pad_left - first : 0;
    const size_t from = first + skipped - windows->pad_left, left = width - from;
    const __mmask64 inside = (left < 64 ? ((__mmask64)1 << left) - 1 : ~(__mmask64)0) << skipped;
    const void *const at = (const void *)((uintptr_t)(row + from) - skipped); /* perhaps in front of the row: masked */
    return _mm512_xor_si512(_mm512_mask_loadu_epi8(padding, inside, at), flip);
}

/* The registers of all lines, for the windows from x on. lines: 64-byte aligned, LINE bytes for each. */
static void make_lines(LE_TABLE le_x86_one *layer, const int8_t *input, size_t x, size_t count, uint8_t *lines)
{
    /* Windows 0 to 3 and 8 to 11 in the lower half, as PUNPCKLWD leaves them: bytes 0 to 31, 8 to 23 and 24 to 39. */
    const __m512i blocks = _mm512_set_epi64(4, 3, 2, 1, 3, 2, 1, 0);
    const __m512i even = _mm512_broadcast_i32x4(_mm_set_epi8(9, 8, 7, 6, 7, 6, 5, 4, 5, 4, 3, 2, 3, 2, 1, 0));
    const __m512i odd = _mm512_add_epi8(even, _mm512_set1_epi8(1));
    const __m512i fifth = odd, sixth = _mm512_add_epi8(even, _mm512_set1_epi8(2)); /* by their last bytes, 2i + 4, 2i + 5 */
    const __mmask64 last = 0x8888888888888888u;
    __m512i down = _mm512_setzero_si512(), down_odd = down;
    for (size_t line = 0; line < count; line++, lines += LINE) {
        const __m512i columns = _mm512_permutexvar_epi64(blocks, padded_line(&layer->windows, input, line, 2 * x));
        down = _mm512_mask_shuffle_epi8(_mm512_srli_epi32(down, 8), last, columns, fifth);
        down_odd = _mm512_mask_shuffle_epi8(_mm512_srli_epi32(down_odd, 8), last, columns, sixth);
        _mm512_store_si512(lines, _mm512_shuffle_epi8(columns, even));
        _mm512_store_si512(lines + 64, _mm512_shuffle_epi8(columns, odd));
        if (line >= 3) {
            _mm512_store_si512(lines - 3 * LINE + FIFTH, down);
            _mm512_store_si512(lines - 3 * LINE + FIFTH + 64, down_odd);
        }
    }
}

static inline __m512i four_weights(LE_TABLE int8_t *weights)
{
    int32_t quad;
    memcpy(&quad, weights, sizeof quad);
    return _mm512_set1_epi32(quad);
}

typedef struct {
    __m512i of[LE_X86_ONE_CHANNELS][PLACES];
} le_place_sums;

/* Adds a quad of taps of each channel; at: the registers of their inputs for the first place of the windows. */
LE_X86_COPIED void add_taps(LE_TABLE int8_t *weights, size_t quad, const uint8_t *at, le_place_sums *sums)
{
    const __m512i x[PLACES] = {_mm512_load_si512(at), _mm512_load_si512(at + 64), _mm512_load_si512(at + LINE),
                               _mm512_load_si512(at + LINE + 64)};
    LE_X86_UNROLL
    for (size_t c = 0; c < LE_X86_ONE_CHANNELS; c++) {
        const __m512i w = four_weights(weights + 4 * (quad * LE_X86_ONE_CHANNELS + c));
        LE_X86_UNROLL
        for (size_t place = 0; place < PLACES; place++) {
            sums->of[c][place] = _mm512_dpbusd_epi32(sums->of[c][place], x[place], w);
        }
    }
}

/* The largest sum of each of sixteen windows, of six channels. at: the registers of their first line; size: of the
 * kernel, a constant where this is inlined. Without a loop over the quads GCC 12 keeps all sums in registers. */
LE_X86_COPIED void largest_sums(LE_TABLE int8_t *weights, const uint8_t *at, size_t size,
                                __m512i largest[LE_X86_ONE_CHANNELS])
{
    le_place_sums sums;
    LE_X86_UNROLL
    for (size_t c = 0; c < LE_X86_ONE_CHANNELS; c++) {
        LE_X86_UNROLL
        for (size_t place = 0; place < PLACES; place++) {
            sums.of[c][place] = _mm512_setzero_si512();
        }
    }
    add_taps(weights, 0, at, &sums);
    add_taps(weights, 1, at + LINE, &sums);
    add_taps(weights, 2, at + 2 * LINE, &sums);
    if (size == 5) {
        add_taps(weights, 3, at + 3 * LINE, &sums);
        add_taps(weights, 4, at + 4 * LINE, &sums);
        add_taps(weights, 5, at + FIFTH, &sums);
        add_taps(weights, 6, at + LINE + FIFTH, &sums);
    }
    LE_X86_UNROLL
    for (size_t c = 0; c < LE_X86_ONE_CHANNELS; c++) {
        const __m512i *const of = sums.of[c];
        largest[c] = _mm512_max_epi32(_mm512_max_epi32(of[0], of[1]), _mm512_max_epi32(of[2], of[3]));
    }
}

static void largest_of_five(LE_TABLE int8_t *weights, const uint8_t *at, __m512i largest[LE_X86_ONE_CHANNELS])
{
    largest_sums(weights, at, 5, largest);
}

static void largest_of_three(LE_TABLE int8_t *weights, const uint8_t *at, __m512i largest[LE_X86_ONE_CHANNELS])
{
    largest_sums(weights, at, 3, largest);
}

#endif
