/* Matrix times vector with TFLM's rounding. */
#define LE_DOUBLE_ROUNDING
#include "le_matrix_mve.h"
