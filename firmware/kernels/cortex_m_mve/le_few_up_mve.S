/* Four positions of a convolution with 16 inputs at most, TFLM's rounding, a zero point of the output of -128. */
#define LE_DOUBLE_ROUNDING
#define LE_FROM_ZERO_UP
#define LE_NAME le_few_up_mve_s8
#include "le_few_mve.h"
