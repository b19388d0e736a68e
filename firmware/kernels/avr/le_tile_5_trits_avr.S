/* Tiles, 5 x 5, weights that are trits. */
#include "le_tile_macros_avr.h"

LE_TILE le_tile_5_trits_avr_s8, 5, in_byte=5
