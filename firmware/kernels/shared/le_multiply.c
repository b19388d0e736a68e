/* Products of values, as TFLM computes them (MulElementwise, reference/integer_ops/mul.h below
 * tensorflow/lite/kernels/internal). */
#include "le_pairs.h"

static int8_t product(const void *layer, int8_t a, int8_t b)
{
    const le_multiply *const by = (const le_multiply *)layer;
    return le_scaled_s8((int32_t)(a - by->zero_point_a) * (b - by->zero_point_b), &by->to);
}

void le_multiply_s8(LE_TABLE le_multiply *layer, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output)
{
    const le_multiply by = *layer;
    le_each_pair(&by.pairs, a, b, output, product, &by);
}
