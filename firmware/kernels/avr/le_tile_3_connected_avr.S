/* Tiles of a convolution with a kernel of 3 x 3 of which channels see only some others. */
#include "le_tile_macros_avr.h"

LE_TILE le_tile_3_connected_avr_s8, 3, connected=1
