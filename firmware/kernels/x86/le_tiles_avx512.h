/* What le_conv2d_tiles_x86.c does where there is AVX-512 VNNI: no fast FIR algorithm, whose differences are no bytes, but
 * VPDPBUSD over the bytes of a row of the kernel, which follow each other in the image: two places of five windows of a row
 * side by side, by sixteen channels.
 *
 * A quad of inputs: a load of weights, and 10 x (broadcast load, VPDPBUSD) for 640 MACs, in 10 cycles where there is one
 * VPDPBUSD of 64 bytes a cycle (Zen 4). All four places at once would be 20 sums, of which GCC 12 leaves half in memory. */
#ifndef LE_TILES_AVX512_H
#define LE_TILES_AVX512_H

#include "le_x86.h"

#define TILE_WINDOWS 5
#define TILE_CHANNELS 16

/* Where the inputs of a row of windows lie. */
typedef struct {
    size_t rows, quads, line;             /* of the kernel; bytes from a line of the image to the next */
    size_t inputs;                        /* bytes from a place to the one beside it */
    const uint8_t *windows[TILE_WINDOWS]; /* the first place of each */
} le_tile;

typedef struct {
    __m512i left, right;
} le_window_sums; /* no array: GCC 12 would leave it in memory */

LE_X86_COPIED void add_to_window(le_window_sums *sums, const uint8_t *at, size_t inputs, __m512i weights)
{
    sums->left = _mm512_dpbusd_epi32(sums->left, le_load_quad(at), weights);
    sums->right = _mm512_dpbusd_epi32(sums->right, le_load_quad(at + inputs), weights);
}

LE_X86_COPIED __m512i larger_of(le_window_sums sums)
{
    return _mm512_max_epi32(sums.left, sums.right);
}

/* The larger sums of the two places side by side, `offset` bytes from the first one of each window, of sixteen channels.
 * weights: int8 [row][quad][16][4]. */
static LE_X86_APART void larger_of_pairs(const le_tile *tile, LE_TABLE int8_t *weights, size_t offset,
                                         __m512i larger[TILE_WINDOWS])
{
    const __m512i zero = _mm512_setzero_si512();
    le_window_sums s0 = {zero, zero}, s1 = s0, s2 = s0, s3 = s0, s4 = s0;
    const le_tile own = *tile;
    for (size_t row = own.rows; row != 0; row--, offset += own.line - 4 * own.quads) {
        for (size_t quad = own.quads; quad != 0; quad--, offset += 4, weights += 4 * TILE_CHANNELS) {
            const __m512i w = _mm512_loadu_si512(weights);
            add_to_window(&s0, own.windows[0] + offset, own.inputs, w);
            add_to_window(&s1, own.windows[1] + offset, own.inputs, w);
            add_to_window(&s2, own.windows[2] + offset, own.inputs, w);
            add_to_window(&s3, own.windows[3] + offset, own.inputs, w);
            add_to_window(&s4, own.windows[4] + offset, own.inputs, w);
        }
    }
    larger[0] = larger_of(s0);
    larger[1] = larger_of(s1);
    larger[2] = larger_of(s2);
    larger[3] = larger_of(s3);
    larger[4] = larger_of(s4);
}

/* The largest sums of each window. */
static inline void largest_in_windows(const le_tile *tile, LE_TABLE int8_t *weights, __m512i largest[TILE_WINDOWS])
{
    __m512i lower[TILE_WINDOWS];
    larger_of_pairs(tile, weights, 0, largest);
    larger_of_pairs(tile, weights, tile->line, lower);
    LE_X86_UNROLL
    for (size_t i = 0; i < TILE_WINDOWS; i++) {
        largest[i] = _mm512_max_epi32(largest[i], lower[i]);
    }
}

/* What inputs of 128 too much add to the sums of each channel. count: of quads. */
static __m512i surplus(LE_TABLE int8_t *weights, size_t count)
{
    __m512i sums = _mm512_setzero_si512();
    for (; count != 0; count--, weights += 4 * TILE_CHANNELS) {
        sums = _mm512_dpbusd_epi32(sums, _mm512_set1_epi8(-128), _mm512_loadu_si512(weights));
    }
    return sums;
}

#endif
