#include "le_four_bits.h"

int32_t le_sum_four_bits(LE_TABLE uint8_t *weights, const int8_t *x, const le_taps_packed *by)
{
    le_halves halves = {weights, 0, 0};
    int32_t sum = 0;
    for (uint8_t row = by->rows; row; row--, x += by->row) {
        const int8_t *at = x, *const end = x + by->taps;
        do {
            const int8_t k = le_next_half(&halves);
            if (k) {
                sum += le_times(k, *at);
            }
        } while (++at != end);
    }
    return sum;
}
