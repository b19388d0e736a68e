/* Four positions of a convolution with 16 inputs at most, with TFLM's rounding. */
#define LE_DOUBLE_ROUNDING
#define LE_NAME le_few_mve_s8
#include "le_few_mve.h"
