/* A position of a depthwise convolution on the tie-free grid. */
#include "le_depthwise_mve.h"
