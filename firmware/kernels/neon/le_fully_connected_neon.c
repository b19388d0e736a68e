/* Matrix times vector: up to four groups of four outputs at once, sixteen inputs at a time.
 *
 * Dot product, sixteen inputs: a load, and for each group 4 loads of weights and 4 SDOT by a lane: 33 instructions for 256
 * MACs, 0.13 a MAC. Without it 4 DUP, and for each group 4 loads, 8 SMULL or SMLAL, 2 SADALP for each `together`: 0.24 a
 * MAC on the tie-free grid. Registers: 4 or 8 sums, 4 of inputs, 2 of products, the weights. */
#include "le_neon.h"

#define GROUPS 4

/* The sums of `groups` groups, whose bias and weights these are; groups, together: constants where this is inlined. The
 * last inputs may be fewer than sixteen: no load goes beyond them. */
LE_NEON_COPIED void accumulate(LE_TABLE le_neon_matrix *matrix, LE_TABLE int32_t *bias, LE_TABLE int8_t *weights,
                               const int8_t *input, size_t groups, size_t together, int32x4_t *sums)
{
    const size_t group = (size_t)matrix->quads * LE_NEON_BLOCK;
    size_t left = matrix->inputs;
    le_neon_sum own[GROUPS];
    LE_NEON_UNROLL
    for (size_t g = 0; g < groups; g++) {
        own[g] = le_neon_begin(bias + g * LE_NEON_GROUP);
    }
    for (; left >= LE_NEON_BLOCK; left -= LE_NEON_BLOCK, input += LE_NEON_BLOCK, weights += 4 * LE_NEON_BLOCK) {
        const int8x16_t x = vld1q_s8(input);
        LE_NEON_UNROLL
        for (size_t g = 0; g < groups; g++) {
            own[g] = le_neon_add_block(own[g], x, weights + g * group, 4, together);
        }
    }
    if (left != 0) {
        int8_t rest[LE_NEON_BLOCK] = {0};
        memcpy(rest, input, left);
        for (size_t i = 0; i < left; i += 4, weights += LE_NEON_BLOCK) {
            int32_t quad;
            memcpy(&quad, rest + i, sizeof quad);
            const int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(quad));
            LE_NEON_UNROLL
            for (size_t g = 0; g < groups; g++) {
                own[g] = le_neon_add_block(own[g], x, weights + g * group, 1, together);
            }
        }
    }
    LE_NEON_UNROLL
    for (size_t g = 0; g < groups; g++) {
        sums[g] = le_neon_total(own[g]);
    }
}

#define LE_NEON_SUMS(name, groups, together)                                                                           \
    static void name(LE_TABLE le_neon_matrix *matrix, LE_TABLE int32_t *bias, LE_TABLE int8_t *weights,                \
                     const int8_t *input, int32x4_t *sums)                                                             \
    {                                                                                                                  \
        accumulate(matrix, bias, weights, input, groups, together, sums);                                              \
    }
typedef void le_sums(LE_TABLE le_neon_matrix *matrix, LE_TABLE int32_t *bias, LE_TABLE int8_t *weights,
                     const int8_t *input, int32x4_t *sums);

LE_NEON_SUMS(four_4, 4, 4)
LE_NEON_SUMS(one_4, 1, 4)
#ifndef __ARM_FEATURE_DOTPROD
LE_NEON_SUMS(four_2, 4, 2)
LE_NEON_SUMS(one_2, 1, 2)
LE_NEON_SUMS(four_1, 4, 1)
LE_NEON_SUMS(one_1, 1, 1)
#endif

static le_sums *sums_function(size_t groups, size_t together)
{
#ifndef __ARM_FEATURE_DOTPROD
    if (together < 4) {
        le_sums *const functions[][2] = {{one_1, four_1}, {one_2, four_2}};
        return functions[together - 1][groups / GROUPS];
    }
#endif
    (void)together;
    return groups == GROUPS ? four_4 : one_4;
}

void le_fully_connected_neon_s8(LE_TABLE le_neon_matrix *matrix, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_neon_requantization *const to = &matrix->to;
    LE_TABLE int8_t *weights = matrix->weights;
    const size_t outputs = matrix->outputs;
    const int whole = to->shift != NULL;
    (void)scratch;
    for (size_t first = 0; first < outputs;) {
        int32x4_t sums[GROUPS];
        const size_t groups = outputs - first > (GROUPS - 1) * LE_NEON_GROUP ? GROUPS : 1;
        sums_function(groups, matrix->together)(matrix, to->bias + first, weights, input, sums);
        weights += groups * matrix->quads * LE_NEON_BLOCK;
        for (size_t g = 0; g < groups; g++, first += LE_NEON_GROUP) {
            const size_t left = outputs - first;
            const int32x4_t results = le_neon_results(sums[g], to, first, whole);
            const int8x8_t values = le_neon_placed(results, results, to, whole);
            le_neon_store(output + first, values, left < LE_NEON_GROUP ? left : LE_NEON_GROUP);
        }
    }
}
