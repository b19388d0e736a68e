/* A depthwise convolution of any window: sixteen channels of two windows of a row side by side (SSE2: of one window).
 *
 * Four taps of the window are a quad: PUNPCKLBW and PUNPCKHBW of the first two and of the last two, then PUNPCKLWD and
 * PUNPCKHWD of both, put the four bytes of each channel next to each other, which le_dot multiplies as the other kernels
 * do. What is loaded for the second window goes into the upper half of the registers, where everything is the same.
 *
 * AVX2, a quad: 4 x (load, VINSERTI128), 8 PUNPCK, 4 broadcast loads of weights, and 4 x (PMADDUBSW, PMADDWD, PADDD): 32
 * instructions for 128 MACs, 0.25 a MAC. Registers: 4 sums, up to 8 of inputs, a weight, ones. */
#include "le_x86.h"

#define CHANNELS LE_X86_DEPTHWISE_CHANNELS
#define WINDOWS (sizeof(le_words) / CHANNELS)
#define REGISTERS 4 /* of four channels */

typedef struct {
    le_words of[REGISTERS];
} le_sums;

/* Sixteen bytes of each window. */
static inline le_words load_inputs(const uint8_t *const at[WINDOWS], size_t offset)
{
    const __m128i first = _mm_loadu_si128((const __m128i *)(const void *)(at[0] + offset));
#ifdef __AVX2__
    const __m128i second = _mm_loadu_si128((const __m128i *)(const void *)(at[1] + offset));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
#else
    return first;
#endif
}

/* What is the same for all windows: sixteen bytes. */
static inline le_words load_shared(LE_TABLE void *from)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)from);
#ifdef __AVX2__
    return _mm256_broadcastsi128_si256(bytes);
#else
    return bytes;
#endif
}

/* The four taps of a quad, those of each channel next to each other. */
static inline void interleave(const uint8_t *const at[WINDOWS], const uint32_t offsets[4], le_words quads[REGISTERS])
{
    const le_words a = load_inputs(at, offsets[0]), b = load_inputs(at, offsets[1]);
    const le_words c = load_inputs(at, offsets[2]), d = load_inputs(at, offsets[3]);
    const le_words ab[2] = {LE_SIMD(unpacklo_epi8)(a, b), LE_SIMD(unpackhi_epi8)(a, b)};
    const le_words cd[2] = {LE_SIMD(unpacklo_epi8)(c, d), LE_SIMD(unpackhi_epi8)(c, d)};
    quads[0] = LE_SIMD(unpacklo_epi16)(ab[0], cd[0]);
    quads[1] = LE_SIMD(unpackhi_epi16)(ab[0], cd[0]);
    quads[2] = LE_SIMD(unpacklo_epi16)(ab[1], cd[1]);
    quads[3] = LE_SIMD(unpackhi_epi16)(ab[1], cd[1]);
}

/* The sums of one place of the windows; whole: a constant where this is inlined. */
LE_X86_COPIED void accumulate(LE_TABLE int8_t *weights, const uint8_t *const at[WINDOWS], const uint32_t *offsets,
                              size_t quads, int whole, le_sums *sums)
{
    le_words own[REGISTERS];
    LE_X86_UNROLL
    for (size_t i = 0; i < REGISTERS; i++) {
        own[i] = le_zero_words();
    }
    for (; quads != 0; quads--, offsets += 4, weights += 4 * CHANNELS) {
        le_words x[REGISTERS];
        interleave(at, offsets, x);
        LE_X86_UNROLL
        for (size_t i = 0; i < REGISTERS; i++) {
            own[i] = le_dot(own[i], x[i], load_shared(weights + CHANNELS * i), whole);
        }
    }
    LE_X86_UNROLL
    for (size_t i = 0; i < REGISTERS; i++) {
        sums->of[i] = own[i];
    }
}

/* Where the windows of an output row begin, and their taps. */
typedef struct {
    LE_TABLE le_x86_depthwise *layer;
    const uint32_t *offsets; /* of the taps, from the beginning of a window */
    const uint8_t *line;
} le_row;

/* The largest sums over the places of the pooling, of the windows from x on. */
static void window_sums(const le_row *row, LE_TABLE int8_t *weights, size_t x, size_t channel, le_sums *largest)
{
    const le_windows *const windows = &row->layer->windows;
    const size_t channels = windows->input.channels, last = windows->output.width - 1u;
    for (size_t py = 0; py < windows->pool_h; py++) {
        for (size_t px = 0; px < windows->pool_w; px++) {
            const uint8_t *at[WINDOWS];
            const size_t place = py * windows->stride_h * row->layer->line + px * windows->stride_w * channels + channel;
            le_sums sums;
            for (size_t i = 0; i < WINDOWS; i++) { /* the last one again where the row has no more */
                at[i] = row->line + (x + i < last ? x + i : last) * windows->step_w * channels + place;
            }
            if (row->layer->to.shift) {
                accumulate(weights, at, row->offsets, row->layer->quads, 1, &sums);
            } else {
                accumulate(weights, at, row->offsets, row->layer->quads, 0, &sums);
            }
            for (size_t i = 0; i < REGISTERS; i++) {
                largest->of[i] = py + px == 0 ? sums.of[i] : le_maximum_words(sums.of[i], largest->of[i]);
            }
        }
    }
}

/* The results of four channels, without zero point and clamp. */
static inline le_words results(le_words sum, const le_x86_requantization *to, size_t channel)
{
    const le_words bias = load_shared(to->bias + channel), m = load_shared(to->multiplier + channel);
    if (to->shift) {
        return le_rounded(LE_SIMD(add_epi32)(sum, bias), m, load_shared(to->shift + channel));
    }
    return le_high_words(LE_SIMD(add_epi32)(LE_SIMD(add_epi32)(sum, sum), bias), m); /* halved weights */
}

/* bytes: int8 [window][channel]. */
static inline void to_int8(const le_sums *sums, const le_x86_requantization *to, size_t channel, int8_t *bytes)
{
    le_words words[2];
    LE_X86_UNROLL
    for (size_t i = 0; i < 2; i++) {
        const le_words low = results(sums->of[2 * i], to, channel + 8 * i);
        const le_words high = results(sums->of[2 * i + 1], to, channel + 8 * i + 4);
        words[i] = LE_SIMD(packs_epi32)(low, high);
        words[i] = LE_X86_PLACED(LE_SIMD, words[i], to);
    }
    le_store_words(bytes, LE_SIMD(packs_epi16)(words[0], words[1]));
}

static void list_taps(LE_TABLE le_x86_depthwise *layer, uint32_t *offsets)
{
    const le_windows *const windows = &layer->windows;
    const size_t taps = (size_t)windows->window_h * windows->window_w;
    for (size_t i = 0; i < 4u * layer->quads; i++) { /* the first one again, with weight 0, where there is no more */
        const size_t tap = i < taps ? i : 0;
        const size_t column = tap % windows->window_w * windows->input.channels;
        offsets[i] = (uint32_t)(tap / windows->window_w * layer->line + column);
    }
}

void le_depthwise_x86_s8(LE_TABLE le_x86_depthwise *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const le_windows *const windows = &layer->windows;
    const size_t channels = windows->output.channels, width = windows->output.width;
    uint32_t *const offsets = (uint32_t *)(void *)scratch;
    uint8_t *const image = (uint8_t *)scratch + 16u * layer->quads;
    list_taps(layer, offsets);
    le_to_unsigned_image(windows, layer->lines, layer->line, input, image, CHANNELS - 1);
    for (size_t y = 0; y < windows->output.height; y++, output += width * channels) {
        const le_row row = {layer, offsets, image + y * windows->step_h * layer->line};
        LE_TABLE int8_t *weights = layer->weights;
        for (size_t c = 0; c < channels; c += CHANNELS, weights += 4u * layer->quads * CHANNELS) {
            const size_t count = channels - c < CHANNELS ? channels - c : CHANNELS;
            for (size_t x = 0; x < width; x += WINDOWS) {
                int8_t bytes[WINDOWS * CHANNELS];
                le_sums sums;
                window_sums(&row, weights, x, c, &sums);
                to_int8(&sums, &layer->to, c, bytes);
                for (size_t i = 0; i < WINDOWS && x + i < width; i++) {
                    memcpy(output + (x + i) * channels + c, bytes + i * CHANNELS, count);
                }
            }
        }
    }
}
