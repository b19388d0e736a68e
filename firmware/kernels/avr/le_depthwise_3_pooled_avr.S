/* A pooling window of 2 x 2 of a depthwise convolution of 3 x 3. */
#include "le_depthwise_3_macros_avr.h"

LE_DEPTHWISE_3_POOLED le_depthwise_3_pooled_avr_s8
