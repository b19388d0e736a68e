/* Convolution by tiles. */
#define AHEAD 0
#include "le_tiles_avr.h"

void le_conv2d_tiles_avr_s8(LE_TABLE le_tiles_avr *layer, le_tile_function_avr *compute, const int8_t *input,
                            int8_t *scratch, int8_t *output)
{
    convolve(layer, compute, input, scratch, output);
}
