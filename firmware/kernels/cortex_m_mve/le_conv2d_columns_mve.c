/* Convolution 5 x 5 of a few input channels, pooled: per output channel the sums of a strip of columns, then its
 * windows. */
#include "le_mve.h"

#define WINDOWS 5 /* rows of them in a strip */

void le_columns_outputs_mve_s8(void);

void le_conv2d_columns_mve_s8(LE_TABLE le_mve_columns *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    int32_t *const sums = (int32_t *)(void *)scratch, *const odd = sums + layer->odd_columns / sizeof *sums;
    const size_t input_row = (size_t)windows->input.width * windows->input.channels;
    const size_t output_row = (size_t)windows->output.width * windows->output.channels;
    for (size_t strip = 1; strip <= layer->strips; strip++) {
        const size_t row = strip == layer->strips ? layer->last_strip : WINDOWS * (strip - 1);
        le_mve_strip of = {
            .input = input + 2 * row * input_row,
            .even = sums,
            .odd = odd,
            .pairs = windows->output.width,
            .output = output + row * output_row,
            .channels = windows->output.channels,
            .offsets = layer->offsets,
            .fours = layer->fours,
            .back = layer->back,
            .whole_eights = layer->whole_eights,
            .outputs = le_columns_outputs_mve_s8,
            .table = layer->table,
        };
        layer->channels(&of);
    }
}
