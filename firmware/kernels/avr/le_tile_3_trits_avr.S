/* Tiles, 3 x 3, weights that are trits. */
#include "le_tile_macros_avr.h"

LE_TILE le_tile_3_trits_avr_s8, 3, in_byte=5
