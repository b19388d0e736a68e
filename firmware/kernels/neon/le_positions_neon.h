/* A convolution, four positions at a time: what its two kernels share. Each includes this once and has its own
 * le_neon_accumulate. The four are the positions of a pooling window, of which only the maximum goes on, or four
 * columns. */
#ifndef LE_POSITIONS_NEON_H
#define LE_POSITIONS_NEON_H

#include "le_neon.h"

#define LE_NEON_POSITIONS 4

/* What the loops over positions share. */
typedef struct {
    const void *layer;
    const le_windows *windows;
    LE_TABLE le_neon_matrix *matrix;
    size_t line, group; /* bytes from a line of the image, a group of the weights, to the next */
    size_t groups;      /* at once */
    size_t first, left; /* the first channel, and how many are left */
    LE_TABLE int8_t *weights;
    size_t places[LE_NEON_POSITIONS]; /* of a pooling window, as far as it has them: bytes from its first position */
} le_neon_part;

/* The sums of four positions, whose windows begin at these bytes: [position][group]. groups, together (matrix->together):
 * constants where this is inlined. */
LE_NEON_COPIED void le_neon_accumulate(const le_neon_part *part, const int8_t *const at[LE_NEON_POSITIONS],
                                       size_t groups, size_t together, int32x4_t *sums);

LE_NEON_COPIED void le_neon_finish(const le_neon_part *part, const int32x4_t *sums, size_t groups, int8_t *output)
{
    LE_TABLE le_neon_requantization *const to = &part->matrix->to;
    const int whole = to->shift != NULL;
    LE_NEON_UNROLL
    for (size_t g = 0; g < groups; g += 2) {
        const size_t first = part->first + g * LE_NEON_GROUP, left = part->left - g * LE_NEON_GROUP;
        const int32x4_t low = le_neon_results(sums[g], to, first, whole);
        int32x4_t high = low; /* of an odd number of groups: nobody's */
        if (g + 1 < groups) {
            high = le_neon_results(sums[g + 1], to, first + LE_NEON_GROUP, whole);
        }
        const size_t most = g + 1 < groups ? 2 * LE_NEON_GROUP : LE_NEON_GROUP;
        le_neon_store(output + first, le_neon_placed(low, high, to, whole), left < most ? left : most);
    }
}

/* Bytes from the first position of a pooling window to another; the last one again where it has no more. */
static inline size_t le_neon_place(const le_neon_part *part, size_t place)
{
    const le_windows *const windows = part->windows;
    const size_t last = (size_t)windows->pool_h * windows->pool_w - 1, i = place < last ? place : last;
    return i / windows->pool_w * windows->stride_h * part->line +
           i % windows->pool_w * windows->stride_w * windows->input.channels;
}

/* Adds the products of the inputs of four positions, up to sixteen each, with a block of weights: own [position][group].
 * groups, quads, together: constants where this is inlined. */
LE_NEON_COPIED void le_neon_add_blocks(const le_neon_part *part, LE_TABLE int8_t *weights,
                                       const int8x16_t x[LE_NEON_POSITIONS], size_t groups, size_t quads,
                                       size_t together, le_neon_sum *own)
{
#ifdef __ARM_FEATURE_DOTPROD
    LE_NEON_UNROLL
    for (size_t g = 0; g < groups; g++) {
        LE_NEON_UNROLL
        for (size_t p = 0; p < LE_NEON_POSITIONS; p++) {
            own[p * groups + g] =
                le_neon_add_block(own[p * groups + g], x[p], weights + g * part->group, quads, together);
        }
    }
#else /* the inputs take four registers a position, the weights four a group */
    LE_NEON_UNROLL
    for (size_t p = 0; p < LE_NEON_POSITIONS; p++) {
        LE_NEON_UNROLL
        for (size_t g = 0; g < groups; g++) {
            own[p * groups + g] =
                le_neon_add_block(own[p * groups + g], x[p], weights + g * part->group, quads, together);
        }
    }
#endif
}

/* The same for those that are left, 0 to 3 quads. */
LE_NEON_COPIED void le_neon_add_rest(const le_neon_part *part, LE_TABLE int8_t *weights,
                                     const int8x16_t x[LE_NEON_POSITIONS], size_t groups, size_t quads,
                                     size_t together, le_neon_sum *own)
{
    if (quads == 1) {
        le_neon_add_blocks(part, weights, x, groups, 1, together, own);
    } else if (quads == 2) {
        le_neon_add_blocks(part, weights, x, groups, 2, together, own);
    } else if (quads == 3) {
        le_neon_add_blocks(part, weights, x, groups, 3, together, own);
    }
}

LE_NEON_COPIED void le_neon_begin_sums(const le_neon_part *part, size_t groups, le_neon_sum *own)
{
    LE_NEON_UNROLL
    for (size_t i = 0; i < LE_NEON_POSITIONS * groups; i++) {
        own[i] = le_neon_begin(part->matrix->to.bias + part->first + i % groups * LE_NEON_GROUP);
    }
}

LE_NEON_COPIED void le_neon_end_sums(const le_neon_sum *own, size_t groups, int32x4_t *sums)
{
    LE_NEON_UNROLL
    for (size_t i = 0; i < LE_NEON_POSITIONS * groups; i++) {
        sums[i] = le_neon_total(own[i]);
    }
}

/* All outputs with pooling. */
LE_NEON_COPIED void le_neon_pooled(const le_neon_part *part, const int8_t *image, int8_t *output, size_t groups,
                                   size_t together)
{
    const le_windows *const windows = part->windows;
    const size_t places = (size_t)windows->pool_h * windows->pool_w, count = windows->output.width;
    const size_t step = (size_t)windows->step_w * windows->input.channels, down = windows->step_h * part->line;
    for (size_t i = 0; i < count * windows->output.height; i++, output += windows->output.channels) {
        const int8_t *const window = image + i / count * down + i % count * step;
        int32x4_t largest[LE_NEON_MOST_GROUPS], sums[LE_NEON_POSITIONS * LE_NEON_MOST_GROUPS];
        LE_NEON_UNROLL
        for (size_t g = 0; g < groups; g++) {
            largest[g] = vdupq_n_s32(INT32_MIN);
        }
        for (size_t place = 0; place < places; place += LE_NEON_POSITIONS) {
            const int8_t *at[LE_NEON_POSITIONS];
            LE_NEON_UNROLL
            for (size_t p = 0; p < LE_NEON_POSITIONS; p++) {
                at[p] = window + (place == 0 ? part->places[p] : le_neon_place(part, place + p));
            }
            le_neon_accumulate(part, at, groups, together, sums);
            LE_NEON_UNROLL
            for (size_t g = 0; g < groups; g++) {
                const int32x4_t *const of = sums + g;
                const int32x4_t above = vmaxq_s32(of[0], of[groups]);
                const int32x4_t here = vmaxq_s32(above, vmaxq_s32(of[2 * groups], of[3 * groups]));
                largest[g] = vmaxq_s32(largest[g], here);
            }
        }
        le_neon_finish(part, largest, groups, output);
    }
}

/* All outputs without pooling: four that follow each other, in a row or around its end. */
LE_NEON_COPIED void le_neon_plain(const le_neon_part *part, const int8_t *image, int8_t *output, size_t groups,
                                  size_t together)
{
    const le_windows *const windows = part->windows;
    const size_t width = windows->output.width, channels = windows->output.channels;
    const size_t step = (size_t)windows->step_w * windows->input.channels;
    const size_t down = windows->step_h * part->line;
    size_t left = width * windows->output.height, x = 0;
    while (left != 0) {
        const int8_t *at[LE_NEON_POSITIONS];
        int32x4_t sums[LE_NEON_POSITIONS * LE_NEON_MOST_GROUPS];
        LE_NEON_UNROLL
        for (size_t p = 0; p < LE_NEON_POSITIONS; p++) {
            at[p] = image + x * step;
            if (p + 1 < left && ++x == width) { /* else the last one again */
                image += down;
                x = 0;
            }
        }
        le_neon_accumulate(part, at, groups, together, sums);
        const size_t count = left < LE_NEON_POSITIONS ? left : LE_NEON_POSITIONS;
        LE_NEON_UNROLL
        for (size_t p = 0; p < LE_NEON_POSITIONS; p++) {
            if (p < count) {
                le_neon_finish(part, sums + p * groups, groups, output + p * channels);
            }
        }
        output += count * channels;
        left -= count;
    }
}

/* All outputs of the groups, for each number of groups and, without the dot product, of products that fit an int16. */
#define LE_NEON_ALL(groups, together)                                                                                  \
    static void plain_##groups##_##together(const le_neon_part *part, const int8_t *image, int8_t *output)             \
    {                                                                                                                  \
        le_neon_plain(part, image, output, groups, together);                                                          \
    }                                                                                                                  \
    static void pooled_##groups##_##together(const le_neon_part *part, const int8_t *image, int8_t *output)            \
    {                                                                                                                  \
        le_neon_pooled(part, image, output, groups, together);                                                         \
    }
#define LE_NEON_ALL_NAMES(groups, together) {plain_##groups##_##together, pooled_##groups##_##together}

typedef void le_neon_all(const le_neon_part *part, const int8_t *image, int8_t *output);

#ifdef __ARM_FEATURE_DOTPROD
LE_NEON_ALL(1, 4)
LE_NEON_ALL(2, 4)
LE_NEON_ALL(3, 4)
LE_NEON_ALL(4, 4)
#else
LE_NEON_ALL(1, 1)
LE_NEON_ALL(2, 1)
LE_NEON_ALL(1, 2)
LE_NEON_ALL(2, 2)
LE_NEON_ALL(1, 4)
LE_NEON_ALL(2, 4)
#endif

static le_neon_all *le_neon_function(const le_neon_part *part)
{
    const size_t pooled = part->windows->pool_h * part->windows->pool_w > 1;
#ifdef __ARM_FEATURE_DOTPROD
    le_neon_all *const functions[][2] = {LE_NEON_ALL_NAMES(1, 4), LE_NEON_ALL_NAMES(2, 4), LE_NEON_ALL_NAMES(3, 4),
                                         LE_NEON_ALL_NAMES(4, 4)};
    return functions[part->groups - 1][pooled];
#else
    le_neon_all *const functions[][2][2] = {{LE_NEON_ALL_NAMES(1, 1), LE_NEON_ALL_NAMES(2, 1)},
                                            {LE_NEON_ALL_NAMES(1, 2), LE_NEON_ALL_NAMES(2, 2)},
                                            {LE_NEON_ALL_NAMES(1, 4), LE_NEON_ALL_NAMES(2, 4)}};
    return functions[part->matrix->together / 2][part->groups - 1][pooled];
#endif
}

/* All outputs. part: as far as the layer says it. */
static inline void le_neon_convolve(le_neon_part *part, const int8_t *image, int8_t *output)
{
    part->first = 0;
    part->left = part->matrix->outputs;
    part->weights = part->matrix->weights;
    for (size_t p = 0; p < LE_NEON_POSITIONS; p++) {
        part->places[p] = le_neon_place(part, p);
    }
    while (part->left != 0) {
        part->groups = (part->left + LE_NEON_GROUP - 1) / LE_NEON_GROUP;
        part->groups = part->groups < LE_NEON_MOST_GROUPS ? part->groups : LE_NEON_MOST_GROUPS;
        le_neon_function(part)(part, image, output);
        const size_t done = part->groups * LE_NEON_GROUP;
        part->first += done;
        part->left -= done < part->left ? done : part->left;
        part->weights += part->groups * part->group;
    }
}

#endif
