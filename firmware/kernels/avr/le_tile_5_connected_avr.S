/* Tiles of a convolution with a kernel of 5 x 5 of which channels see only some others. */
#include "le_tile_macros_avr.h"

LE_TILE le_tile_5_connected_avr_s8, 5, connected=1
