/* Requantisation of a layer on the tie-free grid.
 *
 * Such a layer divides its accumulator A, an even number, by 2q, q odd, and rounds. With bias + q + 2q (z + 128) folded
 * into the table, n = A + q + 2q (z + 128) is odd and the result, but for the -128, is floor(n / 2q). Odd by even is not
 * an integer: n / 2q is at least 1 / 2q above its floor. So the division may be a multiplication by multiplier =
 * floor(2^32 / 2q): the product is too small by less than n / 2^32, which is at most 1 / 2q while n < 256 * 2q, since
 * (2q)^2 < 2^24. A larger n cannot give less than the 255 that is reached there, and all from 255 on is clamped; below
 * zero it is clamped without being computed.
 */
#include "le_kernels.h"

int8_t le_requantize_s8(LE_TABLE le_requantization *to, size_t channel, int32_t accumulator)
{
    const int32_t n = accumulator + to->bias[channel];
    const uint32_t quotient = n <= 0 ? 0 : (uint32_t)(((uint64_t)(uint32_t)n * to->multiplier[channel]) >> 32);
    const int16_t result = (int16_t)((quotient > 255 ? 255 : (int16_t)quotient) - 128);
    if (result < to->clamp_min) {
        return to->clamp_min;
    }
    return result > to->clamp_max ? to->clamp_max : (int8_t)result;
}
