/* Kernels for AArch64 (Raspberry Pi, Mac and other 64-bit Arm): what they share. With the dot product where the compiler
 * has it switched on (-mcpu=native, -march=armv8.2-a+dotprod; Apple's clang always), else with what every AArch64 has. Both
 * read the same tables.
 *
 * A "group" is four channels, or outputs, in the int32 lanes of a register; the last one is filled up with zeros. Every
 * sum begins with its bias, which has the input's zero point in it, so that what is in the lanes in the end is the model's
 * own accumulator, or half of it; on the way there it may wrap. Sums become int8 in one of two ways, see le_neon_results.
 */
#ifndef LE_NEON_H
#define LE_NEON_H

#include "le_kernels.h"

#if !defined(__aarch64__) || defined(__AARCH64EB__)
#error "these kernels need a little-endian AArch64: compile for one, or export the model with --kernels plain"
#endif

#include <arm_neon.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LE_NEON_GROUP 4
#define LE_NEON_BLOCK 16 /* bytes of a register: four quads of inputs, or the channels of a depthwise convolution */

/* Per channel, filled up to whole groups.
 * shift: NULL on the tie-free grid, where the zero point is in the bias and zero_point is 0; else 0 to -31, and the
 *   multiplier is Q0.31. */
typedef struct {
    LE_TABLE int32_t *bias, *multiplier, *shift;
    int16_t zero_point, clamp_min, clamp_max;
} le_neon_requantization;

/* weights: [group][row of the kernel][quad][4][4], whole, or on the tie-free grid halved: four inputs that follow each
 *   other are a quad; a row ends with zeros.
 * together: 4, 2 or 1: for so many quads that follow each other, products of the same place fit an int16 when added. */
typedef struct {
    uint16_t inputs, outputs, quads;
    uint8_t together;
    LE_TABLE int8_t *weights;
    le_neon_requantization to;
} le_neon_matrix;

/* Matrix times vector. */
void le_fully_connected_neon_s8(LE_TABLE le_neon_matrix *matrix, const int8_t *input, int8_t *scratch, int8_t *output);

/* The image that the windows slide over: the input with its padding, `lines` of `line` bytes, then 15 bytes, in scratch.
 * lines: 0 where no window leaves the input and no load goes beyond a window: then it is the input itself. */
typedef struct {
    uint16_t lines;
    uint32_t line;
} le_neon_image;

/* Any convolution, with or without pooling. matrix.inputs: of a row of the kernel, window_w * input.channels. scratch: the
 * image. */
typedef struct {
    le_windows windows;
    le_neon_matrix matrix;
    le_neon_image image;
} le_neon_rows;
void le_conv2d_rows_neon_s8(LE_TABLE le_neon_rows *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* A convolution whose windows have fewer than sixteen bytes in a row, put next to each other. matrix.inputs: of a window,
 * which is one row of weights. scratch: the image, which is always a copy.
 * offsets: [block][4], from the beginning of a window to the rows that sixteen bytes of it lie in; places: [block][16],
 *   where in these rows, as TBL takes four registers: 16 * row + column, 255 for a zero. */
typedef struct {
    le_windows windows;
    le_neon_matrix matrix;
    le_neon_image image;
    LE_TABLE uint32_t *offsets;
    LE_TABLE uint8_t *places;
} le_neon_packed;
void le_conv2d_packed_neon_s8(LE_TABLE le_neon_packed *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* A depthwise convolution of any window, one output of each input channel, with or without pooling.
 * weights: [16 channels][tap][16], halved or whole; taps: a multiple of `together`, beyond the window with zeros.
 * together: 4, 3, 2 or 1: the products of so many taps that follow each other fit an int16 when added. Bias, multiplier and
 *   shift are filled up to whole sixteens. scratch: 4 * taps bytes, then the image. */
typedef struct {
    le_windows windows;
    uint16_t taps;
    uint8_t together;
    LE_TABLE int8_t *weights;
    le_neon_requantization to;
    le_neon_image image;
} le_neon_depthwise;
void le_depthwise_neon_s8(LE_TABLE le_neon_depthwise *layer, const int8_t *input, int8_t *scratch, int8_t *output);

/* A function of which each caller has its own copy, with its constants in it. */
#define LE_NEON_COPIED static inline __attribute__((always_inline))

/* A loop over registers: unless it is unrolled they are in memory. */
#ifdef __clang__
#define LE_NEON_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LE_NEON_UNROLL _Pragma("GCC unroll 16")
#endif

/* --- from sums to int8 ---------------------------------------------------------------------------------------------- */

/* The outputs of a group, without zero_point and clamp, from n, its sums with their bias.
 *
 * On the tie-free grid the accumulator is 2k and the output round(k / q); a zero point of z makes that round((k + q z) / q).
 * n = k + q z, and the multiplier is 2^31 / q, rounded (2^31 - 1 for q = 1): SQRDMULH is floor(n * multiplier / 2^31 + 1/2).
 * q is odd, so n / q is at least 1 / 2q away from a tie, and the multiplier, at most 1 beside 2^31 / q, moves it by at most
 * |n| / 2^31, which is less while |n| < 256 q, since q < 1024. A larger |n| cannot come closer to zero than the -256 or 256
 * there, and is saturated.
 *
 * Else as TFLM does it. SQRDMULH is the first rounding, x: the multiplier is not negative, so nothing saturates. Then
 * x / 2^s, half away from zero: floor((x + 2^(s-1)) / 2^s) where x is not negative, floor((x - 1 + 2^(s-1)) / 2^s) where it
 * is. SRSHL by -s is the former; what AND leaves of a negative x has its sign only if s is not 0, and SSRA adds that sign,
 * -1. |x| < 2^31, so x - 1 does not wrap. */
LE_NEON_COPIED int32x4_t le_neon_results(int32x4_t n, const le_neon_requantization *to, size_t first, int whole)
{
    const int32x4_t x = vqrdmulhq_s32(n, vld1q_s32(to->multiplier + first));
    if (!whole) {
        return x;
    }
    const int32x4_t shift = vld1q_s32(to->shift + first);
    return vrshlq_s32(vsraq_n_s32(x, vandq_s32(x, shift), 31), shift);
}

/* Eight int8 outputs from results of two groups. */
LE_NEON_COPIED int8x8_t le_neon_placed(int32x4_t low, int32x4_t high, const le_neon_requantization *to, int whole)
{
    int16x8_t words = vcombine_s16(vqmovn_s32(low), vqmovn_s32(high));
    if (whole) {
        words = vqaddq_s16(words, vdupq_n_s16(to->zero_point));
    }
    const int8x8_t bytes = vqmovn_s16(words);
    return vmin_s8(vmax_s8(bytes, vdup_n_s8((int8_t)to->clamp_min)), vdup_n_s8((int8_t)to->clamp_max));
}

/* The first `count` of eight, at least 1. */
LE_NEON_COPIED void le_neon_store(int8_t *output, int8x8_t values, size_t count)
{
    if (count >= 8) {
        vst1_s8(output, values);
        return;
    }
    uint64_t bytes = vget_lane_u64(vreinterpret_u64_s8(values), 0);
    if (count & 4) {
        const uint32_t four = (uint32_t)bytes;
        memcpy(output, &four, 4);
        output += 4;
        bytes >>= 32;
    }
    if (count & 2) {
        const uint16_t two = (uint16_t)bytes;
        memcpy(output, &two, 2);
        output += 2;
        bytes >>= 16;
    }
    if (count & 1) {
        memcpy(output, &bytes, 1);
    }
}

/* --- sums of quads -------------------------------------------------------------------------------------------------- */

/* A group's sums. With the dot product a lane for each channel; without, two, of which the sum counts. */
#ifdef __ARM_FEATURE_DOTPROD
#define LE_NEON_MOST_GROUPS 4 /* that share their inputs: registers for four positions */
typedef struct {
    int32x4_t lanes;
} le_neon_sum;
#else
#define LE_NEON_MOST_GROUPS 2
typedef struct {
    int32x4_t low, high;
} le_neon_sum;
#endif

LE_NEON_COPIED le_neon_sum le_neon_begin(LE_TABLE int32_t *bias)
{
    const int32x4_t lanes = vld1q_s32(bias);
#ifdef __ARM_FEATURE_DOTPROD
    const le_neon_sum sum = {lanes};
#else
    const int32x4_t zero = vdupq_n_s32(0);
    const le_neon_sum sum = {vzip1q_s32(lanes, zero), vzip2q_s32(lanes, zero)};
#endif
    return sum;
}

LE_NEON_COPIED int32x4_t le_neon_total(le_neon_sum sum)
{
#ifdef __ARM_FEATURE_DOTPROD
    return sum.lanes;
#else
    return vpaddq_s32(sum.low, sum.high);
#endif
}

#ifndef __ARM_FEATURE_DOTPROD
/* One quad, or several whose products are added as int16. x: the inputs, as often as there are channels. */
LE_NEON_COPIED le_neon_sum le_neon_add(le_neon_sum sum, const int8x16_t *x, LE_TABLE int8_t *weights, size_t count)
{
    const int8x16_t first = vld1q_s8(weights);
    int16x8_t low = vmull_s8(vget_low_s8(first), vget_low_s8(x[0])), high = vmull_high_s8(first, x[0]);
    LE_NEON_UNROLL
    for (size_t i = 1; i < count; i++) {
        const int8x16_t w = vld1q_s8(weights + LE_NEON_BLOCK * i);
        low = vmlal_s8(low, vget_low_s8(w), vget_low_s8(x[i]));
        high = vmlal_high_s8(high, w, x[i]);
    }
    const le_neon_sum added = {vpadalq_s16(sum.low, low), vpadalq_s16(sum.high, high)};
    return added;
}
#endif

/* Adds the products of the first `quads` quads, 1 to 4, of sixteen inputs. quads, together: constants where this is
 * inlined. */
LE_NEON_COPIED le_neon_sum le_neon_add_block(le_neon_sum sum, int8x16_t inputs, LE_TABLE int8_t *weights, size_t quads,
                                             size_t together)
{
#ifdef __ARM_FEATURE_DOTPROD
    (void)together;
    sum.lanes = vdotq_laneq_s32(sum.lanes, vld1q_s8(weights), inputs, 0);
    if (quads > 1) {
        sum.lanes = vdotq_laneq_s32(sum.lanes, vld1q_s8(weights + LE_NEON_BLOCK), inputs, 1);
    }
    if (quads > 2) {
        sum.lanes = vdotq_laneq_s32(sum.lanes, vld1q_s8(weights + 2 * LE_NEON_BLOCK), inputs, 2);
    }
    if (quads > 3) {
        sum.lanes = vdotq_laneq_s32(sum.lanes, vld1q_s8(weights + 3 * LE_NEON_BLOCK), inputs, 3);
    }
#else
    const int32x4_t words = vreinterpretq_s32_s8(inputs);
    const int8x16_t x[4] = {vreinterpretq_s8_s32(vdupq_laneq_s32(words, 0)), vreinterpretq_s8_s32(vdupq_laneq_s32(words, 1)),
                            vreinterpretq_s8_s32(vdupq_laneq_s32(words, 2)), vreinterpretq_s8_s32(vdupq_laneq_s32(words, 3))};
    LE_NEON_UNROLL
    for (size_t i = 0; i < quads; i += together) {
        const size_t left = quads - i;
        sum = le_neon_add(sum, x + i, weights + LE_NEON_BLOCK * i, left < together ? left : together);
    }
#endif
    return sum;
}

/* --- the image ------------------------------------------------------------------------------------------------------ */

/* The image: the input, or a copy with its padding. The bytes behind it are set too: their weights are zero. */
static inline const int8_t *le_neon_image_of(const le_neon_image *image, const le_windows *windows, const int8_t *input,
                                             int8_t *to)
{
    if (image->lines == 0) {
        return input;
    }
    const size_t channels = windows->input.channels, width = windows->input.width * channels, line = image->line;
    const size_t before = windows->pad_left * channels;
    const size_t copied = line - before < width ? line - before : width;
    int8_t *at = to;
    for (size_t y = 0; y < image->lines; y++, at += line) {
        const size_t row = y - windows->pad_top; /* a huge number above the image */
        if (row >= windows->input.height) {
            memset(at, windows->padding_value, line);
            continue;
        }
        memset(at, windows->padding_value, before);
        memcpy(at + before, input + row * width, copied);
        memset(at + before + copied, windows->padding_value, line - before - copied);
    }
    memset(at, 0, LE_NEON_BLOCK - 1);
    return to;
}

#ifdef __cplusplus
}
#endif

#endif
