#include "le_compact.h"

void le_fully_connected_compact_s8(LE_TABLE le_compact_fully_connected *layer, const int8_t *input, int8_t *patch,
                                   int8_t *output)
{
    LE_TABLE uint8_t *table = layer->table;
    (void)patch;
    for (int8_t *const end = output + layer->outputs; output != end; output++) {
        LE_TABLE uint8_t *const head = table;
        int32_t sum = 0;
        table += LE_COMPACT_HEAD;
        for (uint8_t digit = layer->digits; digit > 0; digit--) {
            sum += sum * 2;
            table = le_sum_compact(table, input, 0, layer->inputs, 1, &sum);
        }
        *output = le_requantize_compact(head, sum);
    }
}
