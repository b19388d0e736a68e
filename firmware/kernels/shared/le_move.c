#include "le_tensors.h"

#include <string.h>

static void move_run(LE_TABLE int8_t *source, ptrdiff_t from, int8_t *target, ptrdiff_t to, size_t count)
{
#ifndef __AVR__ /* its memcpy does not read flash */
    if (from == 1 && to == 1) {
        memcpy(target, source, count);
        return;
    }
#endif
    for (; count != 0; count--, source += from, target += to) {
        *target = *source;
    }
}

void le_move_s8(LE_TABLE le_region *region, LE_TABLE int8_t *source, int8_t *target)
{
    const le_region by = *region;
    for (size_t i = 0; i < by.counts[0]; i++, source += by.from[0], target += by.to[0]) {
        LE_TABLE int8_t *from1 = source;
        int8_t *to1 = target;
        for (size_t j = 0; j < by.counts[1]; j++, from1 += by.from[1], to1 += by.to[1]) {
            LE_TABLE int8_t *from2 = from1;
            int8_t *to2 = to1;
            for (size_t k = 0; k < by.counts[2]; k++, from2 += by.from[2], to2 += by.to[2]) {
                move_run(from2, by.from[3], to2, by.to[3], by.counts[3]);
            }
        }
    }
}
