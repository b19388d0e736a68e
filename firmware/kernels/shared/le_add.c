/* Sums and differences, as TFLM computes them (AddElementwise, reference/integer_ops/add.h; Sub, reference/sub.h: below
 * tensorflow/lite/kernels/internal). */
#include "le_pairs.h"

static int32_t operand(int8_t value, int8_t zero_point, le_factor factor)
{
    return le_scaled((int32_t)(value - zero_point) * ((int32_t)1 << 20), factor);
}

static int8_t sum(const void *layer, int8_t a, int8_t b)
{
    const le_add *const by = (const le_add *)layer;
    return le_scaled_s8(operand(a, by->zero_point_a, by->a) + operand(b, by->zero_point_b, by->b), &by->to);
}

static int8_t difference(const void *layer, int8_t a, int8_t b)
{
    const le_add *const by = (const le_add *)layer;
    return le_scaled_s8(operand(a, by->zero_point_a, by->a) - operand(b, by->zero_point_b, by->b), &by->to);
}

void le_add_s8(LE_TABLE le_add *layer, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output)
{
    const le_add by = *layer;
    le_each_pair(&by.pairs, a, b, output, sum, &by);
}

void le_subtract_s8(LE_TABLE le_add *layer, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output)
{
    const le_add by = *layer;
    le_each_pair(&by.pairs, a, b, output, difference, &by);
}
