/* A convolution whose windows have few bytes in a row: four positions at a time as in le_conv2d_rows_neon.c, but the bytes
 * of a window are first put next to each other, so that only the last quad of all has zeros in it. Up to four rows of a
 * window are loaded into registers that follow each other, and TBL takes sixteen bytes out of them.
 *
 * 5 x 5 on one channel, eight outputs: 16 loads and 4 TBL for sixteen inputs of four positions, 8 loads of weights, 32
 * SDOT; for the rest, nine, the same with three quarters of the weights: 110 instructions for 800 MACs, 0.14 a MAC.
 * Registers: 8 or 16 sums, 4 of rows, 4 of inputs, the weights. */
#include "le_positions_neon.h"

/* Sixteen bytes of a window. */
LE_NEON_COPIED int8x16_t pack(const int8_t *window, LE_TABLE uint32_t *offsets, uint8x16_t places)
{
    const int8x16x4_t rows = {{vld1q_s8(window + offsets[0]), vld1q_s8(window + offsets[1]),
                               vld1q_s8(window + offsets[2]), vld1q_s8(window + offsets[3])}};
    return vqtbl4q_s8(rows, places);
}

LE_NEON_COPIED void le_neon_accumulate(const le_neon_part *part, const int8_t *const at[LE_NEON_POSITIONS],
                                       size_t groups, size_t together, int32x4_t *sums)
{
    LE_TABLE le_neon_packed *const layer = (LE_TABLE le_neon_packed *)part->layer;
    LE_TABLE int8_t *weights = part->weights;
    LE_TABLE uint32_t *offsets = layer->offsets;
    LE_TABLE uint8_t *places = layer->places;
    const int8_t *const p0 = at[0], *const p1 = at[1], *const p2 = at[2], *const p3 = at[3];
    le_neon_sum own[LE_NEON_POSITIONS * LE_NEON_MOST_GROUPS];
    size_t quads = part->matrix->quads;
    le_neon_begin_sums(part, groups, own);
    for (;;) {
        const uint8x16_t from = vld1q_u8(places);
        const int8x16_t x[] = {pack(p0, offsets, from), pack(p1, offsets, from), pack(p2, offsets, from),
                               pack(p3, offsets, from)};
        if (quads < 4) {
            le_neon_add_rest(part, weights, x, groups, quads, together, own);
            break;
        }
        le_neon_add_blocks(part, weights, x, groups, 4, together, own);
        quads -= 4;
        if (quads == 0) {
            break;
        }
        weights += 4 * LE_NEON_BLOCK;
        offsets += 4;
        places += LE_NEON_BLOCK;
    }
    le_neon_end_sums(own, groups, sums);
}

void le_conv2d_packed_neon_s8(LE_TABLE le_neon_packed *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const size_t group = (size_t)layer->matrix.quads * LE_NEON_BLOCK;
    le_neon_part part = {layer, &layer->windows, &layer->matrix, layer->image.line, group, 0, 0, 0, NULL, {0}};
    le_neon_convolve(&part, le_neon_image_of(&layer->image, &layer->windows, input, scratch), output);
}
