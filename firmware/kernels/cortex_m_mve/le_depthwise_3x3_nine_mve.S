/* A position of a depthwise convolution 3 x 3 on the tie-free grid, the nine products of int16 in one sum. */
#define LE_GROUP 9
#define LE_NAME le_depthwise_3x3_nine_mve_s8
#include "le_depthwise_3x3_mve.h"
