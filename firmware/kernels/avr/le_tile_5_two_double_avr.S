/* Tiles, 5 x 5, weights of two bits, with TFLM's requantisation. */
#include "le_tile_macros_avr.h"

LE_TILE le_tile_5_two_double_avr_s8, 5, LE_LOAD_OUTPUT_DOUBLE, LE_REQUANTIZE_DOUBLE, in_byte=4
