/* A convolution of any geometry: four positions at a time by two groups of eight channels (SSE2: by one), over the bytes
 * of a row of the kernel, which follow each other in the image. The four are the positions of a pooling window, of which
 * only the maximum goes on, or four columns.
 *
 * AVX2, a quad of inputs: 4 broadcast loads, 2 loads of weights, 8 x (PMADDUBSW, PMADDWD, PADDD): 30 instructions for 256
 * MACs, 0.12 a MAC. Registers: 8 sums, 2 weights, the quad, ones. AVX-512 VNNI: four groups, two in a register: 4 broadcast
 * loads, 2 x (load, VINSERTI64X4), 8 VPDPBUSD: 16 for 512 MACs. */
#include "le_x86.h"

#ifdef __AVX2__
#define WIDES 2 /* le_wide, at once */
#else
#define WIDES 1
#endif
#ifdef LE_X86_VNNI
#define SPLIT(wides) ((wides) < WIDES) /* whether the sums of every second quad are kept apart */
#else
#define SPLIT(wides) 0
#endif
#define CHANNELS (LE_X86_WIDE * LE_X86_GROUP) /* of a le_wide */
#define POSITIONS 4

typedef struct {
    size_t rows, quads, line, group; /* of the kernel; bytes from a line of the image, a group, to the next */
    size_t last;                     /* bytes from the first group of the last le_wide to its second, 0 without one */
} le_sizes;

/* Adds the products of one quad of each position. own: [position][wide]. */
LE_X86_COPIED void add_quads(LE_TABLE int8_t *weights, const uint8_t *const at[POSITIONS], const le_sizes *sizes,
                             size_t wides, int whole, le_wide *own)
{
    const le_quad x[POSITIONS] = {le_load_quad(at[0]), le_load_quad(at[1]), le_load_quad(at[2]), le_load_quad(at[3])};
    LE_X86_UNROLL
    for (size_t g = 0; g < wides; g++) {
        const size_t next = g + 1 < wides ? sizes->group : sizes->last;
        const le_wide w = le_wide_load(weights + g * LE_X86_WIDE * sizes->group, next);
        LE_X86_UNROLL
        for (size_t p = 0; p < POSITIONS; p++) {
            own[p * wides + g] = le_add_quad(own[p * wides + g], x[p], w, whole);
        }
    }
}

/* The sums of four positions for `wides` times LE_X86_WIDE groups: sums [position][wide]. wides and whole: constants where
 * this is inlined. With VNNI, where an instruction takes five cycles, four sums alone would wait for each other: with fewer
 * than WIDES the registers left over take every second quad. */
LE_X86_COPIED void accumulate(LE_TABLE int8_t *weights, const uint8_t *const at[POSITIONS], const le_sizes *sizes,
                              size_t wides, int whole, le_wide sums[POSITIONS * WIDES])
{
    le_wide own[POSITIONS * WIDES];
    LE_X86_UNROLL
    for (size_t i = 0; i < POSITIONS * WIDES; i++) {
        own[i] = le_wide_zero();
    }
    const uint8_t *p0 = at[0], *p1 = at[1], *p2 = at[2], *p3 = at[3];
    for (size_t row = 0; row < sizes->rows; row++) {
        size_t i = 0;
        for (; SPLIT(wides) && i + 4 < 4 * sizes->quads; i += 8, weights += 8 * LE_X86_GROUP) {
            const uint8_t *const here[POSITIONS] = {p0 + i, p1 + i, p2 + i, p3 + i};
            const uint8_t *const next[POSITIONS] = {p0 + i + 4, p1 + i + 4, p2 + i + 4, p3 + i + 4};
            add_quads(weights, here, sizes, wides, whole, own);
            add_quads(weights + 4 * LE_X86_GROUP, next, sizes, wides, whole, own + POSITIONS * (WIDES - 1));
        }
        for (; i < 4 * sizes->quads; i += 4, weights += 4 * LE_X86_GROUP) {
            const uint8_t *const here[POSITIONS] = {p0 + i, p1 + i, p2 + i, p3 + i};
            add_quads(weights, here, sizes, wides, whole, own);
        }
        p0 += sizes->line;
        p1 += sizes->line;
        p2 += sizes->line;
        p3 += sizes->line;
    }
    LE_X86_UNROLL
    for (size_t i = 0; i < POSITIONS * wides; i++) {
        sums[i] = SPLIT(wides) ? le_wide_add(own[i], own[i + POSITIONS * (WIDES - 1)]) : own[i];
    }
}

#define LE_X86_SUMS(name, wides, whole)                                                                                \
    static void name(LE_TABLE int8_t *weights, const uint8_t *const at[POSITIONS], const le_sizes *sizes, le_wide *sums) \
    {                                                                                                                  \
        accumulate(weights, at, sizes, wides, whole, sums);                                                            \
    }
LE_X86_SUMS(one_wide, 1, 0)
LE_X86_SUMS(one_wide_whole, 1, 1)
#if WIDES == 2
LE_X86_SUMS(two_wides, 2, 0)
LE_X86_SUMS(two_wides_whole, 2, 1)
#endif

/* What the loops over positions share. */
typedef struct {
    LE_TABLE le_x86_rows *layer;
    le_sizes sizes;
    size_t wides, first, count; /* le_wide at once; the first channel and how many are left */
    LE_TABLE int8_t *weights;
} le_part;

static void sums_at(const le_part *part, const uint8_t *const at[POSITIONS], le_wide *sums)
{
    const int whole = part->layer->matrix.to.shift != NULL;
#if WIDES == 2
    if (part->wides == 2) {
        (whole ? two_wides_whole : two_wides)(part->weights, at, &part->sizes, sums);
        return;
    }
#endif
    (whole ? one_wide_whole : one_wide)(part->weights, at, &part->sizes, sums);
}

static void finish(const le_part *part, const le_wide *sums, int8_t *output)
{
    const le_x86_requantization *const to = &part->layer->matrix.to;
    for (size_t g = 0; g < LE_X86_WIDE * part->wides && g * LE_X86_GROUP < part->count; g++) {
        const size_t first = part->first + g * LE_X86_GROUP, left = part->count - g * LE_X86_GROUP;
        const le_lanes sum = le_wide_group(sums[g / LE_X86_WIDE], g % LE_X86_WIDE);
        le_quads_s8(sum, to, first, output + first, left < LE_X86_GROUP ? left : LE_X86_GROUP);
    }
}

/* One row of pooled outputs. */
static void pooled_row(const le_part *part, const uint8_t *image, int8_t *output)
{
    const le_windows *const windows = &part->layer->windows;
    const size_t inputs = windows->input.channels, places = (size_t)windows->pool_h * windows->pool_w;
    for (size_t x = 0; x < windows->output.width; x++, output += windows->output.channels) {
        const uint8_t *const window = image + x * windows->step_w * inputs;
        le_wide largest[WIDES], sums[POSITIONS * WIDES];
        for (size_t place = 0; place < places; place += POSITIONS) {
            const uint8_t *at[POSITIONS];
            for (size_t p = 0; p < POSITIONS; p++) { /* the last one again where the window has no more */
                const size_t i = place + p < places ? place + p : places - 1;
                at[p] = window + i / windows->pool_w * windows->stride_h * part->sizes.line +
                        i % windows->pool_w * windows->stride_w * inputs;
            }
            sums_at(part, at, sums);
            for (size_t g = 0; g < part->wides; g++) {
                const le_wide *const of = sums + g;
                const size_t next = part->wides;
                const le_wide first = le_wide_maximum(of[0], of[next]);
                const le_wide here = le_wide_maximum(first, le_wide_maximum(of[2 * next], of[3 * next]));
                largest[g] = place == 0 ? here : le_wide_maximum(largest[g], here);
            }
        }
        finish(part, largest, output);
    }
}

/* One row of outputs without pooling. */
static void plain_row(const le_part *part, const uint8_t *image, int8_t *output)
{
    const le_windows *const windows = &part->layer->windows;
    const size_t width = windows->output.width, step = (size_t)windows->step_w * windows->input.channels;
    for (size_t x = 0; x < width; x += POSITIONS) {
        const uint8_t *at[POSITIONS];
        le_wide sums[POSITIONS * WIDES];
        for (size_t p = 0; p < POSITIONS; p++) {
            at[p] = image + (x + p < width ? x + p : width - 1) * step;
        }
        sums_at(part, at, sums);
        for (size_t p = 0; p < POSITIONS && x + p < width; p++) {
            finish(part, sums + p * part->wides, output + (x + p) * windows->output.channels);
        }
    }
}

void le_conv2d_rows_x86_s8(LE_TABLE le_x86_rows *layer, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const le_windows *const windows = &layer->windows;
    const size_t channels = layer->matrix.outputs, quads = layer->matrix.quads;
    const size_t group = windows->window_h * quads * 4 * LE_X86_GROUP;
    le_part part = {layer, {windows->window_h, quads, layer->line, group, 0}, 0, 0, 0, layer->matrix.weights};
    uint8_t *const image = (uint8_t *)scratch;
    le_to_unsigned_image(windows, layer->lines, layer->line, input, image, 3); /* a quad may reach over the end */
    while (part.first < channels) {
        part.count = channels - part.first;
        part.wides = part.count > CHANNELS ? WIDES : 1;
        part.sizes.last = part.count > part.wides * CHANNELS - LE_X86_GROUP ? group : 0;
        for (size_t y = 0; y < windows->output.height; y++) {
            const uint8_t *const lines = image + y * windows->step_h * layer->line;
            int8_t *const to = output + y * windows->output.width * channels;
            (windows->pool_h * windows->pool_w > 1 ? pooled_row : plain_row)(&part, lines, to);
        }
        part.first += part.wides * CHANNELS;
        part.weights += part.wides * LE_X86_WIDE * group;
    }
}
