/* Convolution by tiles of which channels see only some others; ahead of each patch are LE_AVR_START bytes. */
#define AHEAD 12
#include "le_tiles_avr.h"

void le_conv2d_connected_avr_s8(LE_TABLE le_tiles_avr *layer, le_tile_function_avr *compute, const int8_t *input,
                            int8_t *scratch, int8_t *output)
{
    convolve(layer, compute, input, scratch, output);
}
