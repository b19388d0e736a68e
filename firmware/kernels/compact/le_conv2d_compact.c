/* A convolution, of any pooling: the sums of its window one after the other. */
#include "le_patches_compact.h"

static LE_TABLE uint8_t *one_sum(LE_TABLE le_compact_conv2d *layer, LE_TABLE uint8_t *table, const int8_t *input,
                                 uint16_t below, int32_t *sum)
{
    *sum = 0;
    for (uint8_t digit = layer->digits; digit > 0; digit--) {
        *sum += *sum * 2;
        table = le_sum_compact(table, input, below, layer->run, layer->window_h, sum);
    }
    return table;
}

static LE_TABLE uint8_t *largest(LE_TABLE le_compact_conv2d *layer, LE_TABLE uint8_t *table, const int8_t *patch,
                                 uint16_t below, int32_t *sum)
{
    LE_TABLE uint8_t *const weights = table;
    *sum = INT32_MIN;
    for (uint8_t y = layer->pool_h; y > 0; y--) {
        const int8_t *at = patch;
        for (uint8_t x = layer->pool_w; x > 0; x--, at += layer->right) {
            int32_t found;
            table = one_sum(layer, weights, at, below, &found);
            *sum = found > *sum ? found : *sum;
        }
        for (uint8_t row = layer->stride_h; row > 0; row--) {
            patch += below;
        }
    }
    return table;
}

void le_conv2d_compact_s8(LE_TABLE le_compact_conv2d *layer, const int8_t *input, int8_t *patch, int8_t *output)
{
    le_positions_compact(layer, input, patch, output, largest);
}
