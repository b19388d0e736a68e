/* Convolutions of which channels see only some others: a weight that is not there takes neither flash nor time. */
#ifndef LE_CONNECTED_H
#define LE_CONNECTED_H

#include "le_kernels.h"

#ifndef LE_NO_TABLES

/* connections: for each channel of the output how many channels of the input it sees, then their numbers.
 * weights: for each of these connections, in the same order, [window_h][window_w]. */
typedef struct {
    le_windows windows;
    uint16_t channels;
    LE_TABLE uint8_t *connections;
    LE_TABLE int8_t *weights;
    le_requantization requantization;
} le_conv2d_connected;

/* patch and output: as of le_conv2d_s8. */
void le_conv2d_connected_s8(LE_TABLE le_conv2d_connected *layer, const int8_t *input, int8_t *patch, int8_t *output);

#endif /* LE_NO_TABLES */

#endif
