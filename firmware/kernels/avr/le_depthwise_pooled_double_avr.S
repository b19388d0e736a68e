/* A pooling window of a depthwise convolution, with TFLM's requantisation. */
#include "le_depthwise_macros_avr.h"

LE_DEPTHWISE le_depthwise_pooled_double_avr_s8, LE_LOAD_OUTPUT_DOUBLE, LE_REQUANTIZE_DOUBLE, 1
