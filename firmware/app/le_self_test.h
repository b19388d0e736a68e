/* What the device checks of itself before it answers. */
#ifndef LE_SELF_TEST_H
#define LE_SELF_TEST_H

#include <stdint.h>

#include "le_memory.h"

#ifndef LE_OUTPUTS /* only a model with one output for two classes says how many outputs it has */
#define LE_OUTPUTS LE_CLASSES
#endif

enum { LE_SELF_TEST_PASSED = 0, LE_SELF_TEST_TABLES = 1, LE_SELF_TEST_GOLDEN = 2 }; /* bits */

/* The CRC of the model's tables, and inferences whose logits are known.
 * image: LE_INPUT_BYTES that may be overwritten; where the memory has an image of its own, that one. Returns the bits of what failed. */
uint8_t le_self_test(le_memory *memory, int8_t *image);

#endif
