/* A pooling window of a depthwise convolution. */
#include "le_depthwise_macros_avr.h"

LE_DEPTHWISE le_depthwise_pooled_avr_s8, pooled=1
