/* Tiles, 3 x 3, weights of four bits, with TFLM's requantisation. */
#include "le_tile_macros_avr.h"

LE_TILE le_tile_3_four_double_avr_s8, 3, LE_LOAD_OUTPUT_DOUBLE, LE_REQUANTIZE_DOUBLE, in_byte=2
