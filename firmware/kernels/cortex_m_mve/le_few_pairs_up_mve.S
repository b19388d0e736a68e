/* Two positions of a convolution with 16 inputs at most, with TFLM's rounding, where the output's zero point is -128. */
#define LE_DOUBLE_ROUNDING
#define LE_FROM_ZERO_UP
#define LE_NAME le_few_pairs_up_mve_s8
#include "le_few_pairs_mve.h"
