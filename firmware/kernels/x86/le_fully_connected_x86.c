/* Matrix times vector: up to four groups of eight outputs at once, a quad of inputs broadcast to all lanes.
 *
 * AVX2, a group and quad: PMADDUBSW (with the weights from memory), PMADDWD by ones, PADDD, and a quarter of a broadcast
 * load: 3.25 instructions for 32 MACs, 0.10 a MAC. SSE2: four shifts, four PMADDWD, four PADDD. Registers: 4 sums, the
 * quad, ones. The weights come from the second-level cache once: int8, or they would be twice the bytes. */
#include "le_x86.h"

#define CHANNELS (LE_X86_WIDE * LE_X86_GROUP) /* of a le_wide */

/* The sums of `wides` times LE_X86_WIDE groups; that, and whether the weights are whole, are constants where this is
 * inlined. last: bytes from the first group of the last le_wide to its second, 0 without one. */
LE_X86_COPIED void sums_of(LE_TABLE int8_t *weights, const uint8_t *inputs, size_t quads, size_t last, size_t wides,
                           int whole, le_wide *sums)
{
    const size_t group = quads * 4 * LE_X86_GROUP;
    LE_X86_UNROLL
    for (size_t g = 0; g < wides; g++) {
        sums[g] = le_wide_zero();
    }
    for (; quads != 0; quads--, inputs += 4, weights += 4 * LE_X86_GROUP) {
        const le_quad x = le_load_quad(inputs);
        LE_X86_UNROLL
        for (size_t g = 0; g < wides; g++) {
            const le_wide w = le_wide_load(weights + g * LE_X86_WIDE * group, g + 1 < wides ? group : last);
            sums[g] = le_add_quad(sums[g], x, w, whole);
        }
    }
}

#define LE_X86_SUMS(name, wides, whole)                                                                                \
    static void name(LE_TABLE int8_t *weights, const uint8_t *inputs, size_t quads, size_t last, le_wide *sums)        \
    {                                                                                                                  \
        le_wide own[wides];                                                                                            \
        sums_of(weights, inputs, quads, last, wides, whole, own);                                                      \
        LE_X86_UNROLL                                                                                                  \
        for (size_t g = 0; g < wides; g++) {                                                                           \
            sums[g] = own[g];                                                                                          \
        }                                                                                                              \
    }
LE_X86_SUMS(four, 4, 0)
LE_X86_SUMS(one, 1, 0)
LE_X86_SUMS(four_whole, 4, 1)
LE_X86_SUMS(one_whole, 1, 1)

void le_fully_connected_x86_s8(LE_TABLE le_x86_matrix *matrix, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const size_t quads = matrix->quads, outputs = matrix->outputs;
    const size_t group = quads * 4 * LE_X86_GROUP;
    uint8_t *const inputs = (uint8_t *)scratch;
    LE_TABLE int8_t *weights = matrix->weights;
    le_to_unsigned(input, inputs, matrix->inputs);
    memset(inputs + matrix->inputs, 0, 4 * quads - matrix->inputs);
    for (size_t first = 0; first < outputs;) {
        le_wide sums[4];
        const size_t wides = outputs - first > 3 * CHANNELS ? 4 : 1, groups = wides * LE_X86_WIDE;
        const size_t last = outputs - first > (groups - 1) * LE_X86_GROUP ? group : 0;
        if (matrix->to.shift) {
            (wides == 4 ? four_whole : one_whole)(weights, inputs, quads, last, sums);
        } else {
            (wides == 4 ? four : one)(weights, inputs, quads, last, sums);
        }
        weights += groups * group;
        for (size_t g = 0; g < groups && first < outputs; g++, first += LE_X86_GROUP) {
            const size_t left = outputs - first;
            const le_lanes sum = le_wide_group(sums[g / LE_X86_WIDE], g % LE_X86_WIDE);
            le_quads_s8(sum, &matrix->to, first, output + first, left < LE_X86_GROUP ? left : LE_X86_GROUP);
        }
    }
}
