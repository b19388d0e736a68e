#include "le_four_bits.h"

static int32_t maximum(int32_t a, int32_t b) { return a > b ? a : b; }

/* Each weight is taken out once for four positions. */
int32_t le_largest_four_bits(LE_TABLE uint8_t *weights, const int8_t *x, const le_taps_packed *by)
{
    le_halves halves = {weights, 0, 0};
    int32_t s00 = 0, s01 = 0, s10 = 0, s11 = 0;
    const size_t across = by->across;
    for (uint8_t row = by->rows; row; row--, x += by->row) {
        const int8_t *upper = x, *lower = x + by->down, *const end = x + by->taps;
        do {
            const int8_t k = le_next_half(&halves);
            if (k) {
                s00 += le_times(k, upper[0]);
                s01 += le_times(k, upper[across]);
                s10 += le_times(k, lower[0]);
                s11 += le_times(k, lower[across]);
            }
            lower++;
        } while (++upper != end);
    }
    return maximum(maximum(s00, s01), maximum(s10, s11));
}
