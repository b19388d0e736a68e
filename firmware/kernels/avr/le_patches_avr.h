/* A convolution as one matrix times vector for each position: what the functions of all packings and both requantisations
 * share. The inputs of a position go from the image to where the assembly reads them at once, as x + 128, and are added up
 * on the way. The maximum over a pooling window is taken of the outputs: requantisation is monotone. */
#ifndef LE_PATCHES_AVR_H
#define LE_PATCHES_AVR_H

#include "le_vector_avr.h"

#include <string.h>

/* `count` times the padding, to `to`; what it adds to the sum. */
static inline uint32_t le_put_padding(uint8_t *to, uint8_t padding, uint16_t count)
{
    memset(to, padding, count);
    return (uint32_t)count * padding;
}

/* The inputs that the position with its window from (top, left) on sees, and their sum. */
static LE_NOINLINE uint32_t le_put_patch(const le_windows *windows, const int8_t *input, int top, int left, uint8_t *to)
{
    const int height = (int)windows->input.height, width = (int)windows->input.width;
    const uint16_t channels = windows->input.channels, row = (uint16_t)(windows->window_w * channels);
    const uint8_t padding = (uint8_t)(windows->padding_value ^ 0x80);
    const int first = left < 0 ? 0 : left, end = left + windows->window_w < width ? left + windows->window_w : width;
    const uint16_t before = (uint16_t)((first - left) * (int)channels);
    const uint16_t inside = first < end ? (uint16_t)((end - first) * (int)channels) : 0;
    uint32_t sum = 0;
    for (int y = top; y < top + windows->window_h; y++) {
        if (y < 0 || y >= height || inside == 0) {
            sum += le_put_padding(to, padding, row);
            to += row;
            continue;
        }
        sum += le_put_padding(to, padding, before);
        to += before;
        const int8_t *from = input + ((size_t)y * (size_t)width + (size_t)first) * channels;
        for (const int8_t *const last = from + inside; from != last; from++) {
            const uint8_t value = (uint8_t)(*from ^ 0x80);
            *to++ = value;
            sum += value;
        }
        const uint16_t after = (uint16_t)(row - before - inside);
        sum += le_put_padding(to, padding, after);
        to += after;
    }
    return sum;
}

static inline void le_take_maximum(int8_t *of, const int8_t *with, uint16_t count)
{
    for (; count != 0; count--, of++, with++) {
        *of = *with > *of ? *with : *of;
    }
}

/* offset: a power of two, of the weights, or 0; at_once: inputs of a pass, 4 or 5. */
static inline void le_conv2d_patches_by(LE_TABLE le_patches_avr *layer, const int8_t *input, int8_t *scratch,
                                        int8_t *output, uint8_t offset, uint8_t at_once,
                                        void (*groups)(le_vector_avr *vector))
{
    const le_windows windows = layer->windows;
    const uint16_t inputs = layer->matrix.inputs, outputs = layer->matrix.outputs;
    const uint16_t fives = (uint16_t)((inputs + 4) / 5);
    const uint16_t padded = at_once == 5 ? LE_AVR_PADDED(5 * fives) : LE_AVR_PADDED(inputs);
    const uint16_t passes = at_once == 5 ? fives : padded / 4;
    uint8_t *const patch = (uint8_t *)scratch;
    int8_t *const others = scratch + padded;
    memset(patch + inputs, 0, (size_t)(padded - inputs));
    for (uint16_t row = 0; row < windows.output.height; row++) {
        for (uint16_t column = 0; column < windows.output.width; column++, output += windows.output.channels) {
            for (uint8_t y = 0; y < windows.pool_h; y++) {
                const int top = (int)(row * windows.step_h) - windows.pad_top + y * windows.stride_h;
                for (uint8_t x = 0; x < windows.pool_w; x++) {
                    const int left = (int)(column * windows.step_w) - windows.pad_left + x * windows.stride_w;
                    const uint8_t is_first = x == 0 && y == 0;
                    const uint32_t start = 0 - le_put_patch(&windows, input, top, left, patch) * offset;
                    le_vector_avr vector = {
                        {(uint8_t)start, (uint8_t)(start >> 8), (uint8_t)(start >> 16)},
                        patch, is_first ? output : others, passes, outputs, layer->matrix.table,
                    };
                    groups(&vector);
                    if (!is_first) {
                        le_take_maximum(output, others, outputs);
                    }
                }
            }
        }
    }
}

#endif
