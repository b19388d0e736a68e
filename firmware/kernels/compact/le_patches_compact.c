#include "le_patches_compact.h"

/* Copies the patch whose first input has the index `at`, since it hangs over the edge. Returns from row to row. */
static uint16_t copy_patch(LE_TABLE le_compact_conv2d *layer, const int8_t *input, int32_t at, int top, int left,
                           int8_t *to)
{
    const int8_t *const start = to;
    uint16_t below = 0;
    for (uint8_t y = 0; y < layer->patch_h; y++, at += layer->line) {
        int32_t from = at;
        for (int x = left; x < left + layer->patch_w; x++) {
            const uint8_t is_inside = (unsigned)(top + y) < layer->height && (unsigned)x < layer->width;
            for (uint16_t i = layer->inputs; i > 0; i--, from++) {
                *to++ = is_inside ? input[from] : layer->padding_value;
            }
        }
        below = y == 0 ? (uint16_t)(to - start) : below;
    }
    return below;
}

static uint8_t overhangs(int at, uint8_t patch, uint16_t size)
{
    return at < 0 || at + patch > (int)size;
}

void le_positions_compact(LE_TABLE le_compact_conv2d *layer, const int8_t *input, int8_t *patch, int8_t *output,
                          le_largest_compact *largest)
{
    int top = -layer->pad_top;
    int32_t first = layer->first; /* of the patches of a row: the index in the input, which may be before it */
    for (uint16_t row = layer->rows; row > 0; row--, top += layer->step_h, first += layer->next_row) {
        int left = -layer->pad_left;
        int32_t at = first;
        for (uint16_t column = layer->columns; column > 0; column--, left += layer->step_w, at += layer->across) {
            LE_TABLE uint8_t *table = layer->table;
            const int8_t *from = patch;
            uint16_t below = layer->line;
            if (overhangs(top, layer->patch_h, layer->height) || overhangs(left, layer->patch_w, layer->width)) {
                below = copy_patch(layer, input, at, top, left, patch);
            } else {
                from = input + at;
            }
            for (uint16_t c = layer->channels; c > 0; c--) {
                LE_TABLE uint8_t *const head = table;
                int32_t sum;
                table = largest(layer, table + LE_COMPACT_HEAD, from, below, &sum);
                *output++ = le_requantize_compact(head, sum);
            }
        }
    }
}
