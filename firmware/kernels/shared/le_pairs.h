/* What the operators on two tensors share. */
#ifndef LE_PAIRS_H
#define LE_PAIRS_H

#include "le_tensors.h"

/* The output of two values; `layer` is the operator's own. */
typedef int8_t le_operation(const void *layer, int8_t a, int8_t b);

/* The operation on each pair of values, in the order of the output. */
void le_each_pair(const le_pairs *pairs, LE_TABLE int8_t *a, LE_TABLE int8_t *b, int8_t *output,
                  le_operation *operation, const void *layer);

#endif
