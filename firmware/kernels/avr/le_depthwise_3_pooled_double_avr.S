/* A pooling window of 2 x 2 of a depthwise convolution of 3 x 3, with TFLM's requantisation. */
#include "le_depthwise_3_macros_avr.h"

LE_DEPTHWISE_3_POOLED le_depthwise_3_pooled_double_avr_s8, LE_LOAD_OUTPUT_DOUBLE, LE_REQUANTIZE_DOUBLE
