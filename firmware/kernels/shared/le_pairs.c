#include "le_pairs.h"

void le_each_run(const le_pairs *pairs, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output, le_run *run,
                 const void *by)
{
    for (size_t i = 0; i < pairs->counts[0]; i++, a += pairs->a[0], b += pairs->b[0]) {
        LE_TABLE int8_t *a1 = a, *b1 = b;
        for (size_t j = 0; j < pairs->counts[1]; j++, a1 += pairs->a[1], b1 += pairs->b[1]) {
            LE_TABLE int8_t *a2 = a1, *b2 = b1;
            for (size_t k = 0; k < pairs->counts[2]; k++, a2 += pairs->a[2], b2 += pairs->b[2]) {
                run(by, a2, pairs->a[3], b2, pairs->b[3], output, pairs->counts[3]);
                output += pairs->counts[3];
            }
        }
    }
}
