/* The positions of a convolution, and the patch of each. */
#ifndef LE_PATCHES_COMPACT_H
#define LE_PATCHES_COMPACT_H

#include "le_compact.h"

/* The largest sum of a channel in the pooling window at `patch`, whose rows are `below` inputs apart. Returns the table's
 * next byte. */
typedef LE_TABLE uint8_t *le_largest_compact(LE_TABLE le_compact_conv2d *layer, LE_TABLE uint8_t *table,
                                             const int8_t *patch, uint16_t below, int32_t *sum);

/* Where the stride is 1 and the pooling window 2 x 2. */
le_largest_compact le_largest_2x2_compact;

/* All outputs, in their order. */
void le_positions_compact(LE_TABLE le_compact_conv2d *layer, const int8_t *input, int8_t *patch, int8_t *output,
                          le_largest_compact *largest);

#endif
