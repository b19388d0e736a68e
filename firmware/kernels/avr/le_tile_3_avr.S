/* Tiles of a convolution with a kernel of 3 x 3. */
#include "le_tile_macros_avr.h"

LE_TILE le_tile_3_avr_s8, 3
