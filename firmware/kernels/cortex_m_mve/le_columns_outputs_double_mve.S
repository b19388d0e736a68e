/* The outputs of a strip of columns, with TFLM's rounding. */
#define LE_DOUBLE_ROUNDING
#include "le_columns_outputs_mve.h"
