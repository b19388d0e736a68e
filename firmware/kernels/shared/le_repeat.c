/* For depthwise convolutions with several outputs for each input channel: each output gets a copy of its channel. */
#include "le_repeat.h"

void le_repeat_s8(const int8_t *input, size_t count, uint16_t times, int8_t *output)
{
    const int8_t *const end = input + count;
    if (times == 2) {
        do {
            const int8_t value = *input++;
            output[0] = value;
            output[1] = value;
            output += 2;
        } while (input != end);
        return;
    }
    do {
        const int8_t value = *input++;
        for (uint16_t left = times; left != 0; left--) {
            *output++ = value;
        }
    } while (input != end);
}
