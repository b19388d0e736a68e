/* Tiles of a convolution with a kernel of 1 x 1. */
#include "le_tile_macros_avr.h"

LE_TILE le_tile_1_avr_s8, 1
