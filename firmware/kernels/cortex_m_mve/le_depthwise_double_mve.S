/* A position of a depthwise convolution with TFLM's rounding. */
#define LE_DOUBLE_ROUNDING
#include "le_depthwise_mve.h"
