/* What moves bytes, 16 at a time. */
#ifndef LE_BYTES_MVE_H
#define LE_BYTES_MVE_H

#include <arm_mve.h>
#include <stddef.h>

static inline void le_copy_mve_s8(const int8_t *from, size_t count, int8_t *to)
{
    for (size_t i = 0; i < count; i += 16) {
        const mve_pred16_t inside = vctp8q((uint32_t)(count - i));
        vstrbq_p_s8(to + i, vldrbq_z_s8(from + i, inside), inside);
    }
}

static inline void le_fill_mve_s8(int8_t value, size_t count, int8_t *to)
{
    for (size_t i = 0; i < count; i += 16) {
        vstrbq_p_s8(to + i, vdupq_n_s8(value), vctp8q((uint32_t)(count - i)));
    }
}

/* of[i] = max(of[i], with[i]) */
static inline void le_maximum_mve_s8(int8_t *of, const int8_t *with, size_t count)
{
    for (size_t i = 0; i < count; i += 16) {
        const mve_pred16_t inside = vctp8q((uint32_t)(count - i));
        const int8x16_t a = vldrbq_z_s8(of + i, inside), b = vldrbq_z_s8(with + i, inside);
        vstrbq_p_s8(of + i, vmaxq_s8(a, b), inside);
    }
}

#endif
