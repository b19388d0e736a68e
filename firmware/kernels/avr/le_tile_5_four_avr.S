/* Tiles, 5 x 5, weights of four bits. */
#include "le_tile_macros_avr.h"

LE_TILE le_tile_5_four_avr_s8, 5, in_byte=2
