/* A convolution of several input channels, 3 x 3 or 5 x 5, with the pooling of 2 x 2 behind it: five windows of a row by two
 * groups of eight channels (SSE2: by one group).
 *
 * The fast FIR algorithm of le_conv2d_one_x86.c along both axes: nine parts, 64 instead of 100 products for 5 x 5. Here a
 * plane has all channels of a place next to each other, and PMADDWD takes them in pairs.
 *
 * AVX2, a tap and a pair of channels: 2 loads of weights, for each of five windows a broadcast load and 2 x (PMADDWD,
 * PADDD): 27 instructions. 64 taps of a part for 5 x 16 x 4 x 25 x 2 MACs: 0.11 a MAC. Registers: 10 sums, 2 weights, the
 * inputs. With AVX-512 VNNI le_tiles_avx512.h finds the sums. */
#include "le_x86.h"
#ifdef LE_X86_AVX512
#include "le_tiles_avx512.h"

/* Up to TILE_WINDOWS windows of a row, for up to sixteen channels from `first` on. */
static void write_tile(LE_TABLE le_x86_tiles *layer, const __m512i *largest, size_t count, size_t first, int8_t *output)
{
    const size_t channels = layer->windows.output.channels;
    for (size_t group = 0; group < 2 && first + group * LE_X86_GROUP < channels; group++) {
        const size_t channel = first + group * LE_X86_GROUP, left = channels - channel;
        const le_lanes bias = le_load(layer->to.bias + channel);
        for (size_t i = 0; i < count; i++) {
            le_group_s8(le_sum(le_wide_group(largest[i], group), bias), &layer->to, channel,
                        output + i * channels + channel, left < LE_X86_GROUP ? left : LE_X86_GROUP);
        }
    }
}

void le_conv2d_tiles_x86_s8(LE_TABLE le_x86_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const le_windows *const windows = &layer->windows;
    const size_t width = windows->output.width, channels = windows->output.channels, inputs = windows->input.channels;
    const size_t size = windows->window_w, quads = (size * inputs + 3) / 4, line = 2u * layer->columns * inputs;
    le_tile tile = {size, quads, line, inputs, {NULL}};
    LE_TABLE int8_t *weights = layer->quads;
    uint8_t *const image = (uint8_t *)scratch;
    le_to_unsigned_image(windows, 2u * layer->rows, line, input, image, 3); /* a quad may reach over the end */
    for (size_t first = 0; first < channels; first += TILE_CHANNELS, weights += size * quads * 4 * TILE_CHANNELS) {
        const __m512i more = surplus(weights, size * quads);
        for (size_t y = 0; y < windows->output.height; y++) {
            for (size_t x = 0; x < width; x += TILE_WINDOWS) {
                __m512i largest[TILE_WINDOWS];
                for (size_t i = 0; i < TILE_WINDOWS; i++) { /* the last one again where the row has no more */
                    const size_t column = x + i < width ? x + i : width - 1;
                    tile.windows[i] = image + 2 * (y * line + column * inputs);
                }
                largest_in_windows(&tile, weights, largest);
                LE_X86_UNROLL
                for (size_t i = 0; i < TILE_WINDOWS; i++) {
                    largest[i] = _mm512_sub_epi32(largest[i], more);
                }
                write_tile(layer, largest, width - x < TILE_WINDOWS ? width - x : TILE_WINDOWS, first,
                           output + (y * width + x) * channels);
            }
        }
    }
}
#else

#define WINDOWS 5
#define PARTS 9
#ifdef __AVX2__
#define GROUPS 2
#else
#define GROUPS 1
#endif

/* --- planes ----------------------------------------------------------------------------------------------------------- */

/* The image with its padding, int8 [2 * rows][2 * columns][channels], then 8 bytes. */
static void copy_image(LE_TABLE le_x86_tiles *layer, const int8_t *input, int8_t *image)
{
    const le_windows *const windows = &layer->windows;
    const size_t channels = windows->input.channels, width = windows->input.width * channels;
    const size_t lines = 2u * layer->rows, line = 2u * layer->columns * channels;
    const size_t before = windows->pad_left * channels, copied = line - before < width ? line - before : width;
    memset(image, windows->padding_value, lines * line + 8);
    for (size_t y = 0; y < windows->input.height && y + windows->pad_top < lines; y++) {
        memcpy(image + (y + windows->pad_top) * line + before, input + y * width, copied);
    }
}

/* Every second place of a line as int16 [columns][2 * pairs]; up to 14 bytes over the end, which the next ones take. */
static void widen(LE_TABLE le_x86_tiles *layer, const int8_t *line, int8_t *to)
{
    const size_t channels = layer->windows.input.channels, place = 4u * layer->pairs;
    for (size_t x = 0; x < layer->columns; x++, line += 2 * channels, to += place) {
        for (size_t i = 0; i < channels; i += 8) {
            const __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(line + i));
            const __m128i words = _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);
            _mm_storeu_si128((__m128i *)(void *)(to + 2 * i), words);
        }
    }
}

#ifdef __AVX2__
#define SUBTRACT(a, b) _mm256_sub_epi16(a, b)
#else
static inline le_lanes subtract(le_lanes a, le_lanes b)
{
    const le_lanes difference = {_mm_sub_epi16(a.low, b.low), _mm_sub_epi16(a.high, b.high)};
    return difference;
}
#define SUBTRACT(a, b) subtract(a, b)
#endif

/* Along a line: x1, x0 - x1, x0[+1] - x1. */
static inline void parts_of_line(const int8_t *line, size_t half, size_t place, le_lanes parts[3])
{
    const le_lanes odd = le_load(line + half);
    parts[0] = odd;
    parts[1] = SUBTRACT(le_load(line), odd);
    parts[2] = SUBTRACT(le_load(line + place), odd);
}

/* lines: int16 [2 * rows][even, odd places], `row` bytes each; planes: int16 [part of columns][part of rows][rows][row]. */
static void make_planes(LE_TABLE le_x86_tiles *layer, const int8_t *lines, int8_t *planes)
{
    const size_t row = layer->row, plane = layer->rows * row, place = 4u * layer->pairs;
    for (size_t y = 0; y < layer->rows; y++, lines += 4 * row, planes += row) {
        const int8_t *const following = y + 1u < layer->rows ? lines + 4 * row : lines; /* of the last one nobody asks */
        for (size_t x = 0; x < row; x += 32) {
            le_lanes even[3], odd[3], next[3];
            parts_of_line(lines + x, row, place, even);
            parts_of_line(lines + x + 2 * row, row, place, odd);
            parts_of_line(following + x, row, place, next);
            int8_t *to = planes + x;
            LE_X86_UNROLL
            for (size_t c = 0; c < 3; c++, to += 3 * plane) {
                le_store(to, odd[c]);
                le_store(to + plane, SUBTRACT(even[c], odd[c]));
                le_store(to + 2 * plane, SUBTRACT(next[c], odd[c]));
            }
        }
    }
}

/* --- sums ------------------------------------------------------------------------------------------------------------- */

typedef struct {
    le_lanes of[WINDOWS * GROUPS]; /* [group][window] */
} le_sums;

/* What the parts of a row of windows share. */
typedef struct {
    LE_TABLE int16_t *weights[PARTS];
    const int8_t *planes[PARTS];
    size_t rows[PARTS], words[PARTS]; /* of taps; pairs of inputs in a row of them */
    size_t row, group;                /* bytes from a row of a plane, int16 from a group, to the next */
    size_t places[WINDOWS];           /* of the windows, in bytes */
} le_parts;

static inline le_lanes add_products(le_lanes sum, int32_t x, le_lanes weights)
{
    const le_words both = LE_SIMD(set1_epi32)(x);
#ifdef __AVX2__
    return le_dot_pairs(sum, both, weights);
#else
    const le_lanes added = {le_dot_pairs(sum.low, both, weights.low), le_dot_pairs(sum.high, both, weights.high)};
    return added;
#endif
}

/* As in le_conv2d_one_x86.c; `groups` is a constant where this is inlined. */
LE_X86_COPIED void add_to(const le_parts *parts, size_t part, const le_sums *from, const le_sums *with, le_sums *to,
                          int largest, size_t groups)
{
    le_lanes own[WINDOWS * GROUPS];
    LE_X86_UNROLL
    for (size_t i = 0; i < WINDOWS * groups; i++) {
        own[i] = from ? from->of[i] : le_zero();
    }
    if (with) {
        LE_X86_UNROLL
        for (size_t i = 0; i < WINDOWS * groups; i++) {
            own[i] = le_sum(own[i], with->of[i]);
        }
    }
    LE_TABLE int16_t *weights = parts->weights[part];
    const int8_t *row = parts->planes[part];
    for (size_t rows = parts->rows[part]; rows != 0; rows--, row += parts->row) {
        const int8_t *const x[WINDOWS] = {row + parts->places[0], row + parts->places[1], row + parts->places[2],
                                          row + parts->places[3], row + parts->places[4]};
        for (size_t i = 0; i < 4 * parts->words[part]; i += 4, weights += 2 * LE_X86_GROUP) {
            le_lanes w[GROUPS];
            LE_X86_UNROLL
            for (size_t g = 0; g < groups; g++) {
                w[g] = le_load(weights + g * parts->group);
            }
            LE_X86_UNROLL
            for (size_t p = 0; p < WINDOWS; p++) {
                int32_t pair;
                memcpy(&pair, x[p] + i, sizeof pair);
                LE_X86_UNROLL
                for (size_t g = 0; g < groups; g++) {
                    own[g * WINDOWS + p] = add_products(own[g * WINDOWS + p], pair, w[g]);
                }
            }
        }
    }
    LE_X86_UNROLL
    for (size_t i = 0; i < WINDOWS * groups; i++) {
        to->of[i] = largest ? le_maximum(own[i], to->of[i]) : own[i];
    }
}

typedef void le_add_part(const le_parts *parts, size_t part, const le_sums *from, const le_sums *with, le_sums *to,
                         int largest);

static LE_X86_APART void one_group(const le_parts *parts, size_t part, const le_sums *from, const le_sums *with,
                                   le_sums *to, int largest)
{
    add_to(parts, part, from, with, to, largest, 1);
}

#if GROUPS == 2
static LE_X86_APART void two_groups(const le_parts *parts, size_t part, const le_sums *from, const le_sums *with,
                                    le_sums *to, int largest)
{
    add_to(parts, part, from, with, to, largest, 2);
}
#endif

/* The largest sum of each window. Parts: 3 * (that of the columns) + (that of the rows), each as p2, p1, p3. */
static inline void window_sums(const le_parts *parts, le_add_part *add_part, le_sums *largest)
{
    le_sums both, even, odd;
    add_part(parts, 0, NULL, NULL, &both, 0);
    add_part(parts, 1, &both, NULL, &even, 0);
    add_part(parts, 2, &both, NULL, &odd, 0);
    for (size_t part = 3; part < PARTS; part += 3) {
        add_part(parts, part, NULL, NULL, &both, 0);
        add_part(parts, part + 1, &both, &even, largest, part != 3);
        add_part(parts, part + 2, &both, &odd, largest, 1);
    }
}

/* --- outputs ---------------------------------------------------------------------------------------------------------- */

/* Up to WINDOWS windows of a row, for up to GROUPS groups from channel `first` on. */
static void windows_of_row(LE_TABLE le_x86_tiles *layer, const le_parts *parts, size_t count, size_t first, int8_t *output)
{
    const size_t channels = layer->windows.output.channels;
    const size_t groups = channels - first > LE_X86_GROUP ? GROUPS : 1;
    le_sums largest;
#if GROUPS == 2
    if (groups == 2) {
        window_sums(parts, two_groups, &largest);
    } else
#endif
    {
        window_sums(parts, one_group, &largest);
    }
    for (size_t g = 0; g < groups; g++) {
        const size_t channel = first + g * LE_X86_GROUP, left = channels - channel;
        const le_lanes bias = le_load(layer->to.bias + channel);
        for (size_t p = 0; p < count; p++) {
            le_group_s8(le_sum(largest.of[g * WINDOWS + p], bias), &layer->to, channel, output + p * channels + channel,
                        left < LE_X86_GROUP ? left : LE_X86_GROUP);
        }
    }
}

/* The parts of all windows of row y and of the group that begins with channel `first`. */
static void list_parts(LE_TABLE le_x86_tiles *layer, const int8_t *planes, size_t y, size_t first, le_parts *parts)
{
    const size_t even = (layer->windows.window_w + 1u) / 2, sizes[3] = {even, even, even - 1};
    LE_TABLE int16_t *weights = layer->weights + first / LE_X86_GROUP * parts->group;
    for (size_t part = 0; part < PARTS; part++) {
        parts->weights[part] = weights;
        parts->planes[part] = planes + (part * layer->rows + y) * layer->row;
        parts->rows[part] = sizes[part % 3];
        parts->words[part] = sizes[part / 3] * layer->pairs;
        weights += parts->rows[part] * parts->words[part] * 2 * LE_X86_GROUP;
    }
}

void le_conv2d_tiles_x86_s8(LE_TABLE le_x86_tiles *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const size_t width = layer->windows.output.width, channels = layer->windows.output.channels;
    const size_t row = layer->row, line = 2u * layer->columns * layer->windows.input.channels;
    int8_t *const lines = scratch + PARTS * layer->rows * row, *const image = lines + (4u * layer->rows + 1) * row;
    le_parts parts;
    parts.row = row;
    parts.group = layer->group;
    copy_image(layer, input, image);
    for (size_t y = 0; y < 2u * layer->rows; y++) {
        widen(layer, image + y * line, lines + 2 * y * row);
        widen(layer, image + y * line + layer->windows.input.channels, lines + (2 * y + 1) * row);
    }
    make_planes(layer, lines, scratch);
    for (size_t first = 0; first < channels; first += GROUPS * LE_X86_GROUP) {
        for (size_t y = 0; y < layer->windows.output.height; y++) {
            list_parts(layer, scratch, y, first, &parts);
            for (size_t x = 0; x < width; x += WINDOWS) {
                for (size_t p = 0; p < WINDOWS; p++) { /* the last one again where the row has no more */
                    parts.places[p] = (x + p < width ? x + p : width - 1) * 4 * layer->pairs;
                }
                windows_of_row(layer, &parts, width - x < WINDOWS ? width - x : WINDOWS, first,
                               output + (y * width + x) * channels);
            }
        }
    }
}
#endif
