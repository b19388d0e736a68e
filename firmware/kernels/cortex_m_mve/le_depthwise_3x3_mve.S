/* A position of a depthwise convolution 3 x 3 on the tie-free grid, the products of int16 by threes. */
#define LE_GROUP 3
#define LE_NAME le_depthwise_3x3_mve_s8
#include "le_depthwise_3x3_mve.h"
