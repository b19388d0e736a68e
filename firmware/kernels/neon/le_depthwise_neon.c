/* A depthwise convolution of any window: sixteen channels of two windows of a row, which share the loads of weights. The
 * dot product would need the taps of each channel next to each other, which costs more than it saves.
 *
 * A tap of both: 2 loads of inputs, a load of weights, 4 SMULL or SMLAL, and for each `together` 8 SADDW: 3 x 3 on the
 * tie-free grid (three taps together) 29 instructions and an address for each load, for 288 MACs a window pair: 0.3 to 0.4 a
 * MAC. Registers: 8 sums, 4 of products, 2 of inputs, a weight. */
#include "le_neon.h"

#define CHANNELS LE_NEON_BLOCK
#define WINDOWS 2

#define REGISTERS (CHANNELS / LE_NEON_GROUP)

typedef struct {
    int32x4_t of[REGISTERS];
} le_sums;

/* What the loops share. */
typedef struct {
    LE_TABLE le_neon_depthwise *layer;
    const uint32_t *offsets; /* of the taps, from the beginning of a window */
    const int8_t *image;
    LE_TABLE int8_t *weights;
    size_t channel, left; /* the first of sixteen, and how many are left */
} le_part;

/* The sums of both windows, which begin at these bytes; together: a constant where this is inlined. */
LE_NEON_COPIED void accumulate(const le_part *part, const int8_t *const at[WINDOWS], size_t together, le_sums *sums)
{
    LE_TABLE int8_t *weights = part->weights;
    LE_TABLE int32_t *const bias = part->layer->to.bias + part->channel;
    const uint32_t *offsets = part->offsets;
    LE_NEON_UNROLL
    for (size_t i = 0; i < REGISTERS; i++) {
        sums[0].of[i] = sums[1].of[i] = vld1q_s32(bias + i * LE_NEON_GROUP);
    }
    const int8_t *const p0 = at[0], *const p1 = at[1];
    for (size_t tap = 0; tap < part->layer->taps; tap += together, offsets += together, weights += together * CHANNELS) {
        int16x8_t low[WINDOWS], high[WINDOWS];
        LE_NEON_UNROLL
        for (size_t i = 0; i < together; i++) {
            const int8x16_t w = vld1q_s8(weights + i * CHANNELS);
            const int8x16_t x[WINDOWS] = {vld1q_s8(p0 + offsets[i]), vld1q_s8(p1 + offsets[i])};
            LE_NEON_UNROLL
            for (size_t p = 0; p < WINDOWS; p++) {
                if (i == 0) {
                    low[p] = vmull_s8(vget_low_s8(w), vget_low_s8(x[p]));
                    high[p] = vmull_high_s8(w, x[p]);
                } else {
                    low[p] = vmlal_s8(low[p], vget_low_s8(w), vget_low_s8(x[p]));
                    high[p] = vmlal_high_s8(high[p], w, x[p]);
                }
            }
        }
        LE_NEON_UNROLL
        for (size_t p = 0; p < WINDOWS; p++) {
            sums[p].of[0] = vaddw_s16(sums[p].of[0], vget_low_s16(low[p]));
            sums[p].of[1] = vaddw_high_s16(sums[p].of[1], low[p]);
            sums[p].of[2] = vaddw_s16(sums[p].of[2], vget_low_s16(high[p]));
            sums[p].of[3] = vaddw_high_s16(sums[p].of[3], high[p]);
        }
    }
}

/* The sums of two windows, or the largest over the places of the pooling, whose first one begins at these bytes. */
LE_NEON_COPIED void window_sums(const le_part *part, const int8_t *const at[WINDOWS], size_t together, le_sums *largest)
{
    const le_windows *const windows = &part->layer->windows;
    const size_t places = (size_t)windows->pool_h * windows->pool_w;
    accumulate(part, at, together, largest);
    for (size_t place = 1; place < places; place++) {
        const size_t offset = place / windows->pool_w * windows->stride_h * part->layer->image.line +
                              place % windows->pool_w * windows->stride_w * windows->input.channels;
        const int8_t *const here[WINDOWS] = {at[0] + offset, at[1] + offset};
        le_sums sums[WINDOWS];
        accumulate(part, here, together, sums);
        LE_NEON_UNROLL
        for (size_t i = 0; i < REGISTERS; i++) {
            largest[0].of[i] = vmaxq_s32(largest[0].of[i], sums[0].of[i]);
            largest[1].of[i] = vmaxq_s32(largest[1].of[i], sums[1].of[i]);
        }
    }
}

LE_NEON_COPIED void finish(const le_part *part, const le_sums *sums, int8_t *output)
{
    LE_TABLE le_neon_requantization *const to = &part->layer->to;
    const int whole = to->shift != NULL;
    int8x8_t halves[2];
    LE_NEON_UNROLL
    for (size_t i = 0; i < 2; i++) {
        const size_t first = part->channel + 8 * i;
        const int32x4_t low = le_neon_results(sums->of[2 * i], to, first, whole);
        const int32x4_t high = le_neon_results(sums->of[2 * i + 1], to, first + LE_NEON_GROUP, whole);
        halves[i] = le_neon_placed(low, high, to, whole);
    }
    le_neon_store(output, halves[0], part->left);
    if (part->left > 8) {
        le_neon_store(output + 8, halves[1], part->left - 8);
    }
}

/* Sixteen channels of all outputs, two that follow each other at a time; together: a constant where this is inlined. */
LE_NEON_COPIED void convolve(const le_part *part, int8_t *output, size_t together)
{
    const le_windows *const windows = &part->layer->windows;
    const size_t channels = windows->input.channels, width = windows->output.width;
    const size_t step = windows->step_w * channels, down = windows->step_h * part->layer->image.line;
    const size_t count = width * windows->output.height;
    size_t x = 0;
    const int8_t *line = part->image;
    for (size_t i = 0; i < count; i += WINDOWS, output += WINDOWS * channels) {
        const int8_t *at[WINDOWS];
        le_sums sums[WINDOWS];
        LE_NEON_UNROLL
        for (size_t p = 0; p < WINDOWS; p++) {
            at[p] = line + x * step;
            if (i + p + 1 < count && ++x == width) { /* the last one again where there is no more */
                x = 0;
                line += down;
            }
        }
        window_sums(part, at, together, sums);
        finish(part, &sums[0], output);
        if (i + 1 < count) {
            finish(part, &sums[1], output + channels);
        }
    }
}

#define LE_NEON_CONVOLVE(name, together)                                                                               \
    static void name(const le_part *part, int8_t *output)                                                              \
    {                                                                                                                  \
        convolve(part, output, together);                                                                              \
    }
LE_NEON_CONVOLVE(by_one, 1)
LE_NEON_CONVOLVE(by_two, 2)
LE_NEON_CONVOLVE(by_three, 3)
LE_NEON_CONVOLVE(by_four, 4)

static void list_taps(LE_TABLE le_neon_depthwise *layer, uint32_t *offsets)
{
    const le_windows *const windows = &layer->windows;
    const size_t taps = (size_t)windows->window_h * windows->window_w;
    for (size_t i = 0; i < layer->taps; i++) { /* the first one again, with weight 0, where there is no more */
        const size_t tap = i < taps ? i : 0;
        const size_t column = tap % windows->window_w * windows->input.channels;
        offsets[i] = (uint32_t)(tap / windows->window_w * layer->image.line + column);
    }
}

void le_depthwise_neon_s8(LE_TABLE le_neon_depthwise *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const size_t channels = layer->windows.output.channels, taps = layer->taps;
    uint32_t *const offsets = (uint32_t *)(void *)scratch;
    const int8_t *const image = le_neon_image_of(&layer->image, &layer->windows, input, scratch + 4 * taps);
    list_taps(layer, offsets);
    for (size_t c = 0; c < channels; c += CHANNELS) {
        static void (*const functions[])(const le_part *, int8_t *) = {by_one, by_two, by_three, by_four};
        const le_part part = {layer, offsets, image + c, layer->weights + c * taps, c, channels - c};
        functions[layer->together - 1](&part, output + c);
    }
}
