/* For `lenet-edge bench --host`: many inferences in one call, so that the caller's own time does not count. */
#include "le_model.h"

#ifndef LE_OUTPUTS /* only a model with one output for two classes says how many outputs it has */
#define LE_OUTPUTS LE_CLASSES
#endif

void le_repeat(const int8_t *images, size_t count, size_t times, int8_t *logits);
const char *le_compiled_for(void);

/* Each of `count` images `times` times; logits [count][LE_OUTPUTS]. */
void le_repeat(const int8_t *images, size_t count, size_t times, int8_t *logits)
{
    static le_workspace workspace;
    for (; count != 0; count--, images += LE_INPUT_BYTES, logits += LE_OUTPUTS) {
        for (size_t i = 0; i < times; i++) {
            (void)le_infer_with(&workspace, images, logits);
        }
    }
}

/* The instruction set that the compiler had switched on, of those that kernels choose by. */
const char *le_compiled_for(void)
{
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
    return "AVX-512 VNNI";
#elif defined(__AVXVNNI__)
    return "AVX-VNNI";
#elif defined(__AVX2__)
    return "AVX2";
#elif defined(__SSE2__)
    return "SSE2";
#elif defined(__ARM_FEATURE_DOTPROD)
    return "NEON with dot product";
#elif defined(__aarch64__)
    return "NEON";
#else
    return "";
#endif
}
