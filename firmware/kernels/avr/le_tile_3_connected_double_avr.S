/* Tiles of a convolution with a kernel of 3 x 3 of which channels see only some others, with TFLM's requantisation. */
#include "le_tile_macros_avr.h"

LE_TILE le_tile_3_connected_double_avr_s8, 3, LE_LOAD_OUTPUT_DOUBLE, LE_REQUANTIZE_DOUBLE, connected=1
