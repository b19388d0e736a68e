/* Tiles of a convolution with a kernel of 1 x 1, with TFLM's requantisation. */
#include "le_tile_macros_avr.h"

LE_TILE le_tile_1_double_avr_s8, 1, LE_LOAD_OUTPUT_DOUBLE, LE_REQUANTIZE_DOUBLE
