/* What the kernels with sliding windows share. */
#ifndef LE_WINDOWS_H
#define LE_WINDOWS_H

#include "le_kernels.h"

/* Where the inputs of one patch are. */
typedef struct {
    const int8_t *start;
    size_t row; /* bytes from a row to the next */
} le_patch;

/* The patch of an output position: in the input itself where it lies inside, else in `buffer`, filled up with the
 * padding value. buffer: patch_h * patch_w * input.channels bytes. */
le_patch le_patch_at_s8(const le_windows *windows, const int8_t *input, unsigned row, unsigned column, int8_t *buffer);

#endif
