/* ONNX Runtime's QLinearAdd: two fused products and additions in float32, each rounded once, then half to even with the
 * zero point in it (MlasQLinearAddKernelAvx2, onnxruntime/core/mlas/lib/intrinsics/avx2/qladd_avx2.cpp). */
#include "le_elementwise_float32.h"
#include "le_float32.h"
#include "le_pairs.h"

static void sums(const void *of, LE_TABLE int8_t *a, ptrdiff_t a_step, LE_TABLE int8_t *b, ptrdiff_t b_step,
                 int8_t *output, size_t count)
{
    const le_add_float32 *const by = (const le_add_float32 *)of;
    for (const int8_t *const end = output + count; output != end; a += a_step, b += b_step) {
        const int64_t inner = le_float32_of(*b * by->by_b + by->addend);
        const int64_t sum = le_float32_of(*a * by->by_a + inner);
        *output++ = le_int8_half_even(sum, by->shift, 0, by->clamp_min, by->clamp_max);
    }
}

void le_add_float32_s8(LE_TABLE le_add_float32 *layer, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output)
{
    const le_add_float32 by = *layer;
    le_each_run(&by.pairs, a, b, output, sums, &by);
}
