/* A convolution of any geometry: four positions at a time by up to four groups of four channels (without the dot product
 * two), over the bytes of a row of the kernel, which follow each other in the image.
 *
 * Dot product, sixteen inputs: 4 loads of inputs, 16 of weights, 64 SDOT by a lane: 84 instructions for 1,024 MACs, 0.08 a
 * MAC. Registers: 16 sums, 4 of inputs, the weights. Without it: 4 loads of inputs, 16 DUP, 8 loads of weights, 64 SMULL or
 * SMLAL, and 16 SADALP for each `together`: 108 instructions for 512 MACs on the tie-free grid, 0.21 a MAC. Registers: 16
 * sums, 2 of products, 4 of inputs, 4 of weights. */
#include "le_positions_neon.h"

LE_NEON_COPIED void le_neon_accumulate(const le_neon_part *part, const int8_t *const at[LE_NEON_POSITIONS],
                                       size_t groups, size_t together, int32x4_t *sums)
{
    LE_TABLE int8_t *weights = part->weights;
    const int8_t *p0 = at[0], *p1 = at[1], *p2 = at[2], *p3 = at[3];
    le_neon_sum own[LE_NEON_POSITIONS * LE_NEON_MOST_GROUPS];
    le_neon_begin_sums(part, groups, own);
    for (size_t row = 0; row < part->windows->window_h; row++) {
        size_t quads = part->matrix->quads, i = 0;
        for (; quads >= 4; quads -= 4, i += LE_NEON_BLOCK, weights += 4 * LE_NEON_BLOCK) {
            const int8x16_t x[] = {vld1q_s8(p0 + i), vld1q_s8(p1 + i), vld1q_s8(p2 + i), vld1q_s8(p3 + i)};
            le_neon_add_blocks(part, weights, x, groups, 4, together, own);
        }
        if (quads != 0) {
            const int8x16_t x[] = {vld1q_s8(p0 + i), vld1q_s8(p1 + i), vld1q_s8(p2 + i), vld1q_s8(p3 + i)};
            le_neon_add_rest(part, weights, x, groups, quads, together, own);
            weights += quads * LE_NEON_BLOCK;
        }
        p0 += part->line;
        p1 += part->line;
        p2 += part->line;
        p3 += part->line;
    }
    le_neon_end_sums(own, groups, sums);
}

void le_conv2d_rows_neon_s8(LE_TABLE le_neon_rows *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const size_t group = (size_t)layer->windows.window_h * layer->matrix.quads * LE_NEON_BLOCK;
    le_neon_part part = {layer, &layer->windows, &layer->matrix, layer->image.line, group, 0, 0, 0, NULL, {0}};
    le_neon_convolve(&part, le_neon_image_of(&layer->image, &layer->windows, input, scratch), output);
}
