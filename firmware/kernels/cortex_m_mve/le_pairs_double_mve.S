/* Two positions of a convolution by four outputs with TFLM's rounding. */
#define LE_DOUBLE_ROUNDING
#define LE_NAME le_pairs_mve_s8
#include "le_pairs_mve.h"
