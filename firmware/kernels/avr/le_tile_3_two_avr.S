/* Tiles, 3 x 3, weights of two bits. */
#include "le_tile_macros_avr.h"

LE_TILE le_tile_3_two_avr_s8, 3, in_byte=4
