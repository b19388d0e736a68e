#ifndef LE_AVERAGE_POOL2D_FLOAT32_H
#define LE_AVERAGE_POOL2D_FLOAT32_H

#include "le_kernels.h"

#ifndef LE_NO_TABLES

#ifdef __cplusplus
extern "C" {
#endif

/* scale: the 24 bits of the float32 that is the scale of input and output, the power of two apart; windows.padding_value is
 * the zero point of both. */
typedef struct {
    le_windows windows;
    uint32_t scale;
    int8_t clamp_min, clamp_max;
} le_average_pool2d_float32;

/* Input and output do not overlap. */
void le_average_pool2d_float32_s8(LE_TABLE le_average_pool2d_float32 *layer, const int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif /* LE_NO_TABLES */

#endif
