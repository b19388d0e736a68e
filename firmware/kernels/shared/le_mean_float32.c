/* ONNX Runtime's ReduceMean of real values in float32. Eigen adds up a channel's values, which lie one behind the other
 * there, in two registers of four, which begin where 16 divides the address: what is in front of that, and behind the last
 * whole register, is added at the end (redux_impl of Eigen/src/Core/Redux.h; FastReduceKR,
 * onnxruntime/core/providers/cpu/reduction/reduction_ops.h). Here the values of a channel are `channels` apart. */
#include "le_mean_float32.h"
#include "le_float32.h"

#define LANES 4

typedef struct {
    LE_TABLE int8_t *first;
    size_t step;
    int16_t zero_point;
    uint32_t scale;
} le_reals;

static int64_t real_at(const le_reals *of, uint32_t index)
{
    return le_float32_of((int64_t)(of->first[index * of->step] - of->zero_point) * of->scale);
}

static int64_t with_all(int64_t sum, const le_reals *of, uint32_t begin, uint32_t end)
{
    for (; begin < end; begin++) {
        sum = le_float32_of(sum + real_at(of, begin));
    }
    return sum;
}

/* The sum of one lane of `registers` registers from the value `begin` on: every other one by itself, an odd last one at
 * the end. */
static int64_t lane_of(const le_reals *of, uint32_t begin, uint32_t registers)
{
    int64_t sums[2] = {real_at(of, begin), 0};
    if (registers == 1) {
        return sums[0];
    }
    sums[1] = real_at(of, begin + LANES);
    for (uint32_t i = 2; i < registers / 2 * 2; i++) {
        sums[i & 1] = le_float32_of(sums[i & 1] + real_at(of, begin + i * LANES));
    }
    const int64_t both = le_float32_of(sums[0] + sums[1]);
    return registers & 1 ? le_float32_of(both + real_at(of, begin + (registers - 1) * LANES)) : both;
}

static int64_t sum_of(const le_reals *of, uint32_t count, uint32_t front)
{
    const uint32_t registers = (count - front) / LANES;
    if (registers == 0) {
        return with_all(real_at(of, 0), of, 1, count);
    }
    int64_t lanes[LANES];
    for (uint32_t i = 0; i < LANES; i++) {
        lanes[i] = lane_of(of, front + i, registers);
    }
    const int64_t sum = le_float32_of(le_float32_of(lanes[0] + lanes[2]) + le_float32_of(lanes[1] + lanes[3]));
    return with_all(with_all(sum, of, 0, front), of, front + registers * LANES, count);
}

void le_mean_float32_s8(LE_TABLE le_mean_float32 *layer, LE_TABLE int8_t *input, int8_t *output)
{
    const le_mean_float32 by = *layer;
    for (uint16_t c = 0; c < by.channels; c++) {
        const le_reals values = {input + c, by.channels, by.input_zero_point, by.scale};
        const uint32_t beyond = (uint32_t)c * by.count % LANES, front = (LANES - beyond) % LANES;
        const int64_t sum = sum_of(&values, by.count, front < by.count ? front : by.count);
        const le_float32 mean = le_quotient24((uint64_t)(sum < 0 ? -sum : sum), by.count);
        const le_float32 steps = le_quotient24(mean.magnitude, by.divisor);
        const int16_t shift = (int16_t)(mean.shift + steps.shift + by.shift); /* as in le_add_real.c */
        const int64_t magnitude = shift > 62 ? 0 : (int64_t)steps.magnitude;
        *output++ = le_int8_half_even(sum < 0 ? -magnitude : magnitude, (uint8_t)(shift < 0 || shift > 62 ? 0 : shift),
                                      by.zero_point, by.clamp_min, by.clamp_max);
    }
}
