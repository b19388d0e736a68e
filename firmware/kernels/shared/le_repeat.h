#ifndef LE_REPEAT_H
#define LE_REPEAT_H

#include "le_kernels.h"

#ifndef LE_NO_TABLES
#ifdef __cplusplus
extern "C" {
#endif

/* Each of `count` values, at least one, so many times: count * times bytes, which do not overlap the input. */
void le_repeat_s8(const int8_t *input, size_t count, uint16_t times, int8_t *output);

#ifdef __cplusplus
}
#endif
#endif /* LE_NO_TABLES */

#endif
