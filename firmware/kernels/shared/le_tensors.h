/* Operators on tensors of any shape: sums, products, means, and what only moves values. Exports that have none of them
 * do not have these files either; le_kernels.h says what holds for all operators.
 *
 * A tensor that is read may be a constant, so it is LE_TABLE: on an AVR a pointer that reads flash reads RAM as well. */
#ifndef LE_TENSORS_H
#define LE_TENSORS_H

#include "le_kernels.h"

#ifndef LE_NO_TABLES

#ifdef __cplusplus
extern "C" {
#endif

#define LE_AXES 4 /* loops one in another: axes that can be counted as one are */

/* A product with multiplier * 2^(shift - 31), shift left positive: see le_scaled.c. */
typedef struct {
    int32_t multiplier;
    int8_t shift;
} le_factor;

/* The last step to an int8: scaled, plus the zero point, clamped. */
typedef struct {
    le_factor factor;
    int8_t zero_point, clamp_min, clamp_max;
} le_scaling;

int8_t le_scaled_s8(int32_t value, const le_scaling *to);

/* Which values of two operands meet: bytes from one to the next along each axis, 0 where one serves the whole axis. */
typedef struct {
    size_t counts[LE_AXES];
    ptrdiff_t a[LE_AXES], b[LE_AXES];
} le_pairs;

/* A sum of operands less their zero points; le_add.c has the rest. a is the wide operand, with the larger scale; b, the
 * narrow one, times 2^left, is scaled to twice that scale. Both shifts are to the right. */
typedef struct {
    le_pairs pairs;
    int8_t zero_point_a, zero_point_b;
    int8_t wide, narrow; /* 1, or -1 where the operand is subtracted */
    uint8_t left;
    le_factor factor;
    le_scaling to;
} le_add;

/* The product of the operands, each less its zero point, is scaled to the output. */
typedef struct {
    le_pairs pairs;
    int8_t zero_point_a, zero_point_b;
    le_scaling to;
} le_multiply;

/* +-a +- b, a * b. Where a (or b) has the output's shape, the output may be in its place; otherwise they do not
 * overlap. */
void le_add_s8(LE_TABLE le_add *layer, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output);
void le_multiply_s8(LE_TABLE le_multiply *layer, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output);

/* The axes that stay and those that the mean is taken along: how many values, bytes from one to the next.
 * bias: minus the input's zero point for each value of a mean. */
typedef struct {
    size_t kept[2], meant[2];
    ptrdiff_t kept_steps[2], meant_steps[2];
    int32_t bias;
    le_scaling to;
} le_mean;

/* Input and output do not overlap. */
void le_mean_s8(LE_TABLE le_mean *layer, LE_TABLE int8_t *input, int8_t *output);

/* The same for speed, with an input in RAM: le_mean_fours.c says what it takes. */
void le_mean_fours_s8(LE_TABLE le_mean *layer, const int8_t *input, int8_t *output);

/* Values on their way from one tensor to another: bytes from one to the next along each axis, backwards too. */
typedef struct {
    size_t counts[LE_AXES];
    ptrdiff_t from[LE_AXES], to[LE_AXES];
} le_region;

/* Moves a region: a part of a tensor, one with its axes in another order, or one into a larger tensor. The pointers are
 * to its first value; source and target do not overlap. */
void le_move_s8(LE_TABLE le_region *region, LE_TABLE int8_t *source, int8_t *target);

/* The same for speed: le_move_words.c. And a value so many times. */
void le_move_words_s8(LE_TABLE le_region *region, LE_TABLE int8_t *source, int8_t *target);
void le_fill_s8(int8_t *target, int8_t value, size_t count);

#ifdef __cplusplus
}
#endif

#endif /* LE_NO_TABLES */

#endif
