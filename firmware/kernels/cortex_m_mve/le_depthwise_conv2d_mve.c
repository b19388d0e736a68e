/* Depthwise convolutions: at each position the list of the pixels that the window sees, of which those outside are one of
 * padding; then all channels at once. Where they are few, the pixels of positions next to each other
 * lie in one vector, and `several` positions are computed as if they were one. The maximum over a pooling window is taken of the outputs: requantisation is
 * monotone. */
#include "le_mve.h"

#include <arm_mve.h>

/* Of the taps, from the first: how far away their pixels are, in bytes, in rows and in columns. For a position: the
 * addresses of the pixels. */
typedef struct {
    uint32_t *taps, *offsets, *rows, *columns;
    uint32_t padding;
} le_list;

static void fill(int8_t value, size_t count, int8_t *to)
{
    for (size_t i = 0; i < count; i += 16) {
        vstrbq_p_s8(to + i, vdupq_n_s8(value), vctp8q((uint32_t)(count - i)));
    }
}

static void maximum(int8_t *of, const int8_t *with, size_t count)
{
    for (size_t i = 0; i < count; i += 16) {
        const mve_pred16_t inside = vctp8q((uint32_t)(count - i));
        const int8x16_t a = vldrbq_z_s8(of + i, inside), b = vldrbq_z_s8(with + i, inside);
        vstrbq_p_s8(of + i, vmaxq_s8(a, b), inside);
    }
}

static void list_offsets(const le_list *list, LE_TABLE le_windows *windows)
{
    const uint32_t channels = windows->input.channels, line = windows->input.width * channels;
    uint32_t *offset = list->offsets, *row = list->rows, *column = list->columns;
    for (uint32_t y = 0; y < windows->window_h; y++) {
        for (uint32_t x = 0; x < windows->window_w; x++) {
            *offset++ = y * line + x * channels;
            *row++ = y;
            *column++ = x;
        }
    }
}

/* The addresses of a window that hangs over the edge; first: that of its first tap. */
static LE_NOINLINE void list_outer(const le_list *list, LE_TABLE le_mve_depthwise *layer, uint32_t first, int top, int left)
{
    const uint32x4_t padding = vdupq_n_u32(list->padding);
    const uint32_t height = layer->windows.input.height, width = layer->windows.input.width;
    for (uint32_t i = 0; i < layer->taps.taps; i += 4) {
        uint32x4_t at = vaddq_n_u32(vldrwq_u32(list->offsets + i), first);
        at = vpselq_u32(padding, at, vcmpcsq_n_u32(vaddq_n_u32(vldrwq_u32(list->rows + i), (uint32_t)top), height));
        at = vpselq_u32(padding, at, vcmpcsq_n_u32(vaddq_n_u32(vldrwq_u32(list->columns + i), (uint32_t)left), width));
        vstrwq_u32(list->taps + i, at);
    }
}

static inline void list_inner(const le_list *list, LE_TABLE le_mve_depthwise *layer, uint32_t first)
{
    for (uint32_t i = 0; i < layer->taps.taps; i += 4) {
        vstrwq_u32(list->taps + i, vaddq_n_u32(vldrwq_u32(list->offsets + i), first));
    }
}

/* The list of a position that begins at column `left` of row `top`. */
static inline void list_window(const le_list *list, LE_TABLE le_mve_depthwise *layer, uint32_t line, int top, int left)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const uint32_t first = line + (uint32_t)left * windows->input.channels;
    const int lowest = windows->input.height - windows->window_h, last = windows->input.width - windows->window_w;
    if (top >= 0 && top <= lowest && left >= 0 && left <= last) {
        list_inner(list, layer, first);
    } else {
        list_outer(list, layer, first, top, left);
    }
}

/* A row of positions: row y of the pooling windows, of which y = 0 begins the maximum. Several at once have stride 1, so that
 * each window inside is a position. */
static void one_row(LE_TABLE le_mve_depthwise *layer, const le_list *list, uint32_t line, int top, uint8_t y,
                    int8_t *outputs, int8_t *to)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    const int last = windows->input.width - windows->window_w, more = layer->at_once - 1;
    for (int left = -windows->pad_left, end = left + windows->output.width * windows->step_w; left < end;
         left += windows->step_w, to += windows->output.channels) {
        if (more != 0 && left >= 0 && left + more <= last) {
            list_window(list, layer, line, top, left);
            layer->multiply(&layer->several, list->taps, to);
            left += more;
            to += more * windows->output.channels;
            continue;
        }
        for (int x = 0, at = left; x < windows->pool_w; x++, at += windows->stride_w) {
            list_window(list, layer, line, top, at);
            if (x == 0 && y == 0) {
                layer->multiply(&layer->taps, list->taps, to);
            } else {
                layer->multiply(&layer->taps, list->taps, outputs);
                maximum(to, outputs, layer->taps.channels);
            }
        }
    }
}

void le_depthwise_conv2d_mve_s8(LE_TABLE le_mve_depthwise *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    LE_TABLE le_windows *const windows = &layer->windows;
    int8_t *const padding = scratch + layer->padding_offset;
    uint32_t *const taps = (uint32_t *)(void *)scratch;
    const size_t size = layer->padding_offset / (4 * sizeof *taps);
    const le_list list = {taps, taps + size, taps + 2 * size, taps + 3 * size, (uint32_t)padding};
    const size_t row = (size_t)windows->output.width * windows->output.channels;
    const uint32_t line = (uint32_t)windows->input.width * windows->input.channels;
    list_offsets(&list, windows);
    fill(windows->padding_value, layer->several.channels, padding);
    int first = -windows->pad_top;
    for (int8_t *const end = output + windows->output.height * row; output != end; output += row, first += windows->step_h) {
        int top = first;
        for (uint8_t y = 0; y < windows->pool_h; y++, top += windows->stride_h) {
            const uint32_t from = (uint32_t)input + (uint32_t)top * line;
            one_row(layer, &list, from, top, y, scratch + layer->outputs_offset, output);
        }
    }
}
