/* Tiles, 3 x 3, weights of four bits. */
#include "le_tile_macros_avr.h"

LE_TILE le_tile_3_four_avr_s8, 3, in_byte=2
