/* Convolutions of any window, stride and pooling, two positions at a time; the products are in le_positions_*.S. Both
 * requantisations have this around them, inline. */
#ifndef LE_POSITIONS_LANES_H
#define LE_POSITIONS_LANES_H

#include "le_lanes.h"
#include "le_patches.h"

/* What the positions see, and their outputs; output channels; of TFLM's requantisation the zero point, the smallest and the
 * largest output; the layer's table; where what they see ends. */
typedef struct {
    const int32_t *x;
    int8_t *outputs[2];
    uint32_t channels;
    int32_t zero_point, clamp_min, clamp_max;
    LE_TABLE uint32_t *table;
    const int32_t *end;
} le_positions_arguments;

/* Where both outputs are in one place, those of position 0 are left there. */
typedef void le_two_positions(const le_positions_arguments *arguments);
le_two_positions le_two_positions_divided_lanes_s8, le_two_positions_double_lanes_s8;

/* count inputs from `from` on, or the padding value where it is NULL -> where the next ones belong */
static inline int32_t *le_put_inputs(const int8_t *from, size_t count, int32_t padding, int32_t *to)
{
    if (from == NULL) {
        for (int32_t *const end = to + 2 * count; to < end; to += 2) {
            *to = padding;
        }
        return to;
    }
    for (const int8_t *const end = from + count / 4 * 4; from < end; from += 4, to += 8) {
        to[0] = from[0];
        to[2] = from[1];
        to[4] = from[2];
        to[6] = from[3];
    }
    for (const int8_t *const end = from + count % 4; from < end; from++, to += 2) {
        *to = *from;
    }
    return to;
}

/* The patch of which (top, left) may lie outside, every second word of `to`. */
static inline void le_put_patch(LE_TABLE le_windows *windows, const int8_t *input, int top, int left, int32_t *to)
{
    const int height = windows->input.height, width = windows->input.width, end = left + windows->window_w;
    const int first = left < 0 ? 0 : left, behind = end < width ? end : width;
    const size_t channels = windows->input.channels;
    for (int y = top; y < top + windows->window_h; y++) {
        if (y < 0 || y >= height || first >= behind) {
            to = le_put_inputs(NULL, windows->window_w * channels, windows->padding_value, to);
            continue;
        }
        const int8_t *const from = input + ((size_t)y * windows->input.width + (size_t)first) * channels;
        if (first > left) {
            to = le_put_inputs(NULL, (size_t)(first - left) * channels, windows->padding_value, to);
        }
        to = le_put_inputs(from, (size_t)(behind - first) * channels, 0, to);
        if (behind < end) {
            to = le_put_inputs(NULL, (size_t)(end - behind) * channels, windows->padding_value, to);
        }
    }
}

/* The outputs of as many positions as there are outputs; of a pooling window the largest ones are kept. */
static inline void le_multiply_positions(LE_TABLE le_lanes_positions *layer, const int32_t *x, unsigned count,
                                         int8_t *outputs[2], int8_t *largest, le_two_positions *both)
{
    const uint16_t channels = layer->windows.output.channels;
    const le_positions_arguments arguments = {
        x, {outputs[0], outputs[count - 1]}, channels, layer->zero_point, layer->clamp_min, layer->clamp_max,
        layer->table, x + 2u * layer->taps};
    both(&arguments);
    for (unsigned i = 0; largest != NULL && i < count; i++) {
        if (outputs[i] != largest) {
            le_maximum_of_s8(largest, outputs[i], channels);
        }
    }
}

static inline void le_positions_lanes_s8(LE_TABLE le_lanes_positions *layer, const int8_t *input, int8_t *scratch,
                                         int8_t *output, le_two_positions *both)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const size_t channels = windows->output.channels;
    const int in_window = windows->pool_h * windows->pool_w;
    int32_t *const x = (int32_t *)scratch;
    int8_t *const others = (int8_t *)(x + 2u * layer->taps), *outputs[2];
    unsigned count = 0;
    for (int row = 0; row < windows->output.height; row++) {
        for (int column = 0; column < windows->output.width; column++, output += channels) {
            int left_of_window = in_window;
            for (int y = 0; y < windows->pool_h; y++) {
                const int top = row * windows->step_h - windows->pad_top + y * windows->stride_h;
                for (int i = 0; i < windows->pool_w; i++, left_of_window--) {
                    const int left = column * windows->step_w - windows->pad_left + i * windows->stride_w;
                    le_put_patch(windows, input, top, left, x + count);
                    outputs[count] = left_of_window == in_window ? output : others + count * channels;
                    count++;
                    if (count == 2 || (in_window > 1 && left_of_window == 1)) {
                        le_multiply_positions(layer, x, count, outputs, in_window > 1 ? output : NULL, both);
                        count = 0;
                    }
                }
            }
        }
    }
    if (count != 0) {
        le_multiply_positions(layer, x, count, outputs, NULL, both);
    }
}

#endif
