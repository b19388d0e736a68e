/* Sums and products of two tensors, as ONNX Runtime computes them in float32; le_float32.h has the arithmetic. */
#ifndef LE_ELEMENTWISE_FLOAT32_H
#define LE_ELEMENTWISE_FLOAT32_H

#include "le_tensors.h"

#ifndef LE_NO_TABLES

#ifdef __cplusplus
extern "C" {
#endif

/* a * by_a + (b * by_b + addend), all of them float32 times 2^shift; the operands are as they are, with the zero points
 * in the addend. No sum is beyond 2^62. */
typedef struct {
    le_pairs pairs;
    int64_t by_a, by_b, addend;
    uint8_t shift;
    int8_t clamp_min, clamp_max;
} le_add_float32;

/* (a - zero_point_a) * (b - zero_point_b) * multiplier + zero_point, the multiplier a float32 times 2^shift; shift is 0 to
 * 50. */
typedef struct {
    le_pairs pairs;
    int16_t zero_point_a, zero_point_b;
    int32_t multiplier;
    uint8_t shift;
    int8_t zero_point, clamp_min, clamp_max;
} le_multiply_float32;

/* ((a - zero_point_a) * by_a + (b - zero_point_b) * by_b) / divisor * 2^-shift + zero_point; by_a and by_b are float32 times
 * a power of two, and so is the divisor, which is below 2^24. */
typedef struct {
    le_pairs pairs;
    int16_t zero_point_a, zero_point_b;
    int64_t by_a, by_b;
    uint32_t divisor;
    int16_t shift;
    int8_t zero_point, clamp_min, clamp_max;
} le_add_real;

/* As le_add_s8 and le_multiply_s8. */
void le_add_float32_s8(LE_TABLE le_add_float32 *layer, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output);
void le_add_real_s8(LE_TABLE le_add_real *layer, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output);
void le_multiply_float32_s8(LE_TABLE le_multiply_float32 *layer, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif /* LE_NO_TABLES */

#endif
