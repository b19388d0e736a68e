/* A position of a depthwise convolution. */
#include "le_depthwise_macros_avr.h"

LE_DEPTHWISE le_depthwise_avr_s8
