/* Four positions of a convolution with 16 inputs at most, on the tie-free grid. */
#define LE_NAME le_few_mve_s8
#include "le_few_mve.h"
