/* A convolution of stride 1 whose max-pooling is 2 x 2: each digit is unpacked once for the four sums of a window. */
#include "le_patches_compact.h"

void le_conv2d_2x2_compact_s8(LE_TABLE le_compact_conv2d *layer, const int8_t *input, int8_t *patch, int8_t *output)
{
    le_positions_compact(layer, input, patch, output, le_largest_2x2_compact);
}
