/* A position of a depthwise convolution 3 x 3 with TFLM's rounding, the products of int16 by pairs. */
#define LE_DOUBLE_ROUNDING
#define LE_GROUP 2
#define LE_NAME le_depthwise_3x3_mve_s8
#include "le_depthwise_3x3_mve.h"
