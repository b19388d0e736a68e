/* The operators of an int8 network in portable C99: no heap, no float, no recursion, no library beyond memcpy and
 * memset. Every function is a pure function of its arguments; the caller owns all memory.
 *
 * Activations are int8 in [height][width][channels] order. Weights have zero point 0; convolution weights are
 * [out_channels][window_h][window_w][in_channels]. Layers and tables are generated; the loops are written here, by hand.
 */
#ifndef LE_KERNELS_H
#define LE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Changes whenever a structure or a table changes its meaning; generated code refuses any other. */
#define LE_KERNELS_VERSION 1

/* How a table that stays in flash is pointed to. An AVR has its own bus for flash; its compiler reads through 24-bit
 * pointers to __memx, which C++ does not have: there only what needs no table is declared. */
#ifdef __AVR__
#define LE_TABLE const __memx
#ifdef __cplusplus
#define LE_NO_TABLES
#endif
#else
#define LE_TABLE const
#endif

/* LE_DEFINE_TABLE(type, name, count, values): a table. avr-ld has a place in front of the code for what is __memx, and no
 * attribute changes that. There it would push what others read through 16-bit pointers (PROGMEM, as of Arduino's pins) out
 * of the first 64 KB; so the assembler places it, among the code. */
#ifdef __AVR__
#define LE_DIRECTIVE_int8_t ".byte"
#define LE_DIRECTIVE_uint8_t ".byte"
#define LE_DIRECTIVE_int16_t ".word"
#define LE_DIRECTIVE_uint16_t ".word"
#define LE_DIRECTIVE_int32_t ".long"
#define LE_DIRECTIVE_uint32_t ".long"
#define LE_DEFINE_TABLE(type, name, count, ...)                                                                        \
    extern const __memx type name[count];                                                                              \
    __asm__(".pushsection .text.le_tables,\"ax\",@progbits\n.global " #name "\n.type " #name ",@object\n" #name ":\n"   \
            LE_DIRECTIVE_##type " " #__VA_ARGS__ "\n.size " #name ",.-" #name "\n.p2align 1\n.popsection")
#else
#define LE_DEFINE_TABLE(type, name, count, ...) static const type name[count] = {__VA_ARGS__}
#endif

/* A function that stays one, so that a count of instructions shows where a step begins. */
#ifdef __GNUC__
#define LE_NOINLINE __attribute__((noinline))
#else
#define LE_NOINLINE
#endif

#ifndef LE_NO_TABLES

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint16_t height, width, channels;
} le_shape;

/* Requantisation on the tie-free grid as fast kernels do it: one signed high multiply and one saturation. They fold
 * q + 2q * zero_point into the bias, so that n = accumulator + bias has either sign, and the output is floor(n / 2q),
 * saturated. n is odd, so that n / 2q is at least 1 / 2q away from both integers around it, and multiplier =
 * floor(2^32 / 2q) moves the product towards zero by less than |n| / 2^32, which is at most 1 / 2q while
 * |n| < 256 * 2q, since (2q)^2 < 2^24. A larger |n| cannot come closer to zero than the 255 or -256 there, and is
 * saturated. le_requantize_tie_free.c has the same for plain kernels. */

/* From an accumulator to an int8 output, per output channel.
 *
 * bias: int32 [channels], with everything folded in that does not depend on the input: the input's zero point times the
 *   sum of the weights, and what le_requantize_s8 expects next to it (le_requantize_tie_free.c, le_requantize_double.c).
 * multiplier, shift: as the file that is linked defines them; shift is NULL where that has none.
 */
typedef struct {
    LE_TABLE int32_t *bias;
    LE_TABLE uint32_t *multiplier;
    LE_TABLE int8_t *shift;
    int8_t zero_point, clamp_min, clamp_max;
} le_requantization;

/* The int8 output of a channel for an accumulator without its bias. Monotone in the accumulator, so that the maximum
 * over a pooling window may be taken before it. */
int8_t le_requantize_s8(LE_TABLE le_requantization *to, size_t channel, int32_t accumulator);

/* Windows that slide over an input. A pooled output position covers pool_h x pool_w positions of the convolution; its
 * patch of the input begins at (row * step_h - pad_top, column * step_w - pad_left) and is patch_h x patch_w. */
typedef struct {
    le_shape input, output;
    uint8_t window_h, window_w, stride_h, stride_w;
    uint8_t pool_h, pool_w; /* 1, 1 without pooling */
    uint8_t step_h, step_w, pad_top, pad_left, patch_h, patch_w;
    int8_t padding_value; /* the input's zero point */
} le_windows;

/* weights: [channels][window_h][window_w][input.channels]; channels of windows.output.channels, the others being in
 * further layers of the same step. */
typedef struct {
    le_windows windows;
    uint16_t channels;
    LE_TABLE int8_t *weights;
    le_requantization requantization;
} le_conv2d;

/* weights: [window_h][window_w][channels]; output channel c reads input channel c / multiplier. */
typedef struct {
    le_windows windows;
    uint16_t channels, multiplier;
    LE_TABLE int8_t *weights;
    le_requantization requantization;
} le_depthwise_conv2d;

/* weights: [outputs][inputs]. */
typedef struct {
    uint16_t inputs, outputs;
    LE_TABLE int8_t *weights;
    le_requantization requantization;
} le_fully_connected;

/* Pooling by itself: window_h x window_w is the window, of which only what lies inside the input counts. */
typedef struct {
    le_windows windows;
    int8_t clamp_min, clamp_max;
} le_pool2d;

/* Convolution, maximum over the pooling window, requantisation.
 * patch: windows.patch_h * windows.patch_w * input.channels bytes, used only where windows hang over the edge; output:
 * the first of the layer's channels; no two of input, patch and output overlap. */
void le_conv2d_s8(LE_TABLE le_conv2d *layer, const int8_t *input, int8_t *patch, int8_t *output);
void le_depthwise_conv2d_s8(LE_TABLE le_depthwise_conv2d *layer, const int8_t *input, int8_t *patch, int8_t *output);

/* Matrix times vector; input and output do not overlap. */
void le_fully_connected_s8(LE_TABLE le_fully_connected *layer, const int8_t *input, int8_t *output);

/* Input and output do not overlap. The mean is rounded half away from zero. */
void le_max_pool2d_s8(LE_TABLE le_pool2d *layer, const int8_t *input, int8_t *output);
void le_average_pool2d_s8(LE_TABLE le_pool2d *layer, const int8_t *input, int8_t *output);

/* values[i] = table[values[i] + 128], in place. */
void le_lookup_s8(LE_TABLE int8_t *table, int8_t *values, size_t count);

/* Softmax with output scale 1/256 and zero point -128, in place; count is 1 to 4095.
 * exponentials: Q0.31, [256]: that of a value that is i below the largest. */
void le_softmax_s8(LE_TABLE int32_t *exponentials, int8_t *values, size_t count);

/* Each value not below low, not above high, in place. */
void le_clamp_s8(int8_t *values, size_t count, int8_t low, int8_t high);

/* The index of the largest value, of several the first; count is at least 1. */
uint16_t le_argmax_s8(const int8_t *values, uint16_t count);

/* pixel - 128 for each pixel, in place; the same again undoes it. */
void le_flip_sign_s8(uint8_t *pixels, size_t count);

#ifdef __cplusplus
}
#endif

#endif /* LE_NO_TABLES */

#endif
