/* Tiles, 3 x 3, weights that are trits, with TFLM's requantisation. */
#include "le_tile_macros_avr.h"

LE_TILE le_tile_3_trits_double_avr_s8, 3, LE_LOAD_OUTPUT_DOUBLE, LE_REQUANTIZE_DOUBLE, in_byte=5
