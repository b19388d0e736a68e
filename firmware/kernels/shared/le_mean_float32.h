#ifndef LE_MEAN_FLOAT32_H
#define LE_MEAN_FLOAT32_H

#include "le_kernels.h"

#ifndef LE_NO_TABLES

#ifdef __cplusplus
extern "C" {
#endif

/* The mean of each channel's `count` values. scale, divisor: the 24 bits of the float32 that are the scales of input and
 * output; what is left of the two is 2^-shift. */
typedef struct {
    uint32_t count;
    uint16_t channels;
    uint32_t scale, divisor;
    int16_t shift;
    int16_t input_zero_point;
    int8_t zero_point, clamp_min, clamp_max;
} le_mean_float32;

/* Input and output do not overlap. */
void le_mean_float32_s8(LE_TABLE le_mean_float32 *layer, LE_TABLE int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif /* LE_NO_TABLES */

#endif
