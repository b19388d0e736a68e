/* Convolution 5 x 5 of a few input channels, pooled: per output channel the sums of a strip of columns, then its
 * windows. */
#include "le_mve.h"

#define WINDOWS 5 /* rows of them in a strip */
#define WEIGHT_WORDS 40 /* of an output channel: 10 vectors */

void le_columns_outputs_mve_s8(LE_TABLE le_mve_stage *stage, const int32_t *sums, LE_TABLE uint32_t *requantization,
                            int8_t *output);

void le_conv2d_columns_mve_s8(LE_TABLE le_mve_columns *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    int32_t *const sums = (int32_t *)(void *)scratch, *const odd = sums + layer->stage.odd_columns / sizeof *sums;
    const size_t input_row = (size_t)windows->input.width * windows->input.channels;
    const size_t output_row = (size_t)windows->output.width * windows->output.channels;
    const size_t table_words = layer->table_words;
    for (size_t strip = 1; strip <= layer->strips; strip++) {
        const size_t row = strip == layer->strips ? layer->last_strip : WINDOWS * (strip - 1);
        const int8_t *const from = input + 2 * row * input_row;
        int8_t *to = output + row * output_row, *const end = to + windows->output.channels;
        for (LE_TABLE uint32_t *table = layer->table; to != end; to++, table += table_words) {
            layer->sum_columns(from, table, sums, odd, windows->output.width);
            le_columns_outputs_mve_s8(&layer->stage, sums, table + WEIGHT_WORDS, to);
        }
    }
}
