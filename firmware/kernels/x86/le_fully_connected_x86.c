/* Matrix times vector: up to four groups of eight outputs at once, a quad of inputs broadcast to all lanes.
 *
 * AVX2, a group and quad: PMADDUBSW (with the weights from memory), PMADDWD by ones, PADDD, and a quarter of a broadcast
 * load: 3.25 instructions for 32 MACs, 0.10 a MAC. SSE2: four shifts, four PMADDWD, four PADDD. Registers: 4 sums, the
 * quad, ones. The weights come from the second-level cache once: int8, or they would be twice the bytes. */
#include "le_x86.h"

/* The sums of `groups` groups; that, and whether the weights are whole, are constants where this is inlined. */
LE_X86_COPIED void sums_of(LE_TABLE int8_t *weights, const uint8_t *inputs, size_t quads, size_t groups, int whole,
                           le_lanes *sums)
{
    const size_t group = quads * 4 * LE_X86_GROUP;
    LE_X86_UNROLL
    for (size_t g = 0; g < groups; g++) {
        sums[g] = le_zero();
    }
    for (; quads != 0; quads--, inputs += 4, weights += 4 * LE_X86_GROUP) {
        const le_words x = le_load_quad(inputs);
        LE_X86_UNROLL
        for (size_t g = 0; g < groups; g++) {
            sums[g] = le_add_quad(sums[g], x, le_load(weights + g * group), whole);
        }
    }
}

#define LE_X86_SUMS(name, groups, whole)                                                                               \
    static void name(LE_TABLE int8_t *weights, const uint8_t *inputs, size_t quads, le_lanes *sums)                    \
    {                                                                                                                  \
        le_lanes own[groups];                                                                                          \
        sums_of(weights, inputs, quads, groups, whole, own);                                                           \
        LE_X86_UNROLL                                                                                                  \
        for (size_t g = 0; g < groups; g++) {                                                                          \
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
        le_lanes sums[4];
        const size_t groups = outputs - first > 3 * LE_X86_GROUP ? 4 : 1;
        if (matrix->to.shift) {
            (groups == 4 ? four_whole : one_whole)(weights, inputs, quads, sums);
        } else {
            (groups == 4 ? four : one)(weights, inputs, quads, sums);
        }
        weights += groups * group;
        for (size_t g = 0; g < groups; g++, first += LE_X86_GROUP) {
            const size_t left = outputs - first;
            le_quads_s8(sums[g], &matrix->to, first, output + first, left < LE_X86_GROUP ? left : LE_X86_GROUP);
        }
    }
}
