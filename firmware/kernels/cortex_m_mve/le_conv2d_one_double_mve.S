/* A row of windows of one input channel, with TFLM's rounding. */
#define LE_DOUBLE_ROUNDING
#include "le_one_row_mve.h"
