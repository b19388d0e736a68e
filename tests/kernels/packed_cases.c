/* Reads cases from standard input, one after the other: sizes, weights, packed weights, inputs. For each it writes the
 * accumulators of the packed kernel, in the order in which it requantises them, and of the plain one. All memory is of
 * exactly the size that is needed, so that the sanitizer sees one byte beyond. */
#include "le_packed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int32_t *sums;
static size_t count;

int8_t le_requantize_s8(LE_TABLE le_requantization *to, size_t channel, int32_t accumulator)
{
    sums[count++] = accumulator;
    return (int8_t)(channel + (size_t)to->zero_point);
}

enum { FULLY_CONNECTED, CONVOLUTION, DEPTHWISE };
enum { KIND, PACKING, AT_ONCE, ROW_BYTES, IN_H, IN_W, IN_C, OUT_H, OUT_W, OUT_C, WINDOW_H, WINDOW_W, STRIDE_H,
       STRIDE_W, POOL_H, POOL_W, STEP_H, STEP_W, TOP, LEFT, PATCH_H, PATCH_W, PADDING, SIZES };

static void *block(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (!memory) {
        exit(3);
    }
    return memset(memory, 0x5A, size);
}

static void *read_block(size_t size)
{
    void *memory = block(size);
    if (fread(memory, 1, size, stdin) != size) {
        exit(4);
    }
    return memory;
}

static void compute(const int32_t *of, const int8_t *weights, const uint8_t *packed, const int8_t *input, int8_t *output)
{
    static le_sum_packed *const functions[2][3] = {{le_sum_four_bits, le_sum_two_bits, le_sum_trits},
                                                   {le_largest_four_bits, le_largest_two_bits, le_largest_trits}};
    le_sum_packed *const sum = functions[of[AT_ONCE] - 1][of[PACKING]];
    const le_requantization to = {NULL, NULL, NULL, 3, -128, 127};
    const uint16_t channels = (uint16_t)of[OUT_C], row_bytes = (uint16_t)of[ROW_BYTES];
    if (of[KIND] == FULLY_CONNECTED) {
        const le_fully_connected plain = {(uint16_t)of[IN_C], channels, weights, to};
        const le_fully_connected_packed layer = {(uint16_t)of[IN_C], channels, row_bytes, sum, packed, to};
        le_fully_connected_packed_s8(&layer, input, output);
        if (of[PACKING] == 2) {
            const size_t known = count;
            int8_t *scratch = (int8_t *)block(LE_TRITS_SCRATCH((size_t)channels));
            le_fully_connected_trits_s8(&layer, input, scratch, output);
            if (memcmp(sums, sums + known, known * sizeof *sums)) {
                exit(5);
            }
            count = known;
            free(scratch);
        }
        le_fully_connected_s8(&plain, input, output);
        return;
    }
    const le_windows windows = {
        {(uint16_t)of[IN_H], (uint16_t)of[IN_W], (uint16_t)of[IN_C]}, {(uint16_t)of[OUT_H], (uint16_t)of[OUT_W], channels},
        (uint8_t)of[WINDOW_H], (uint8_t)of[WINDOW_W], (uint8_t)of[STRIDE_H], (uint8_t)of[STRIDE_W], (uint8_t)of[POOL_H],
        (uint8_t)of[POOL_W], (uint8_t)of[STEP_H], (uint8_t)of[STEP_W], (uint8_t)of[TOP], (uint8_t)of[LEFT],
        (uint8_t)of[PATCH_H], (uint8_t)of[PATCH_W], (int8_t)of[PADDING]};
    const size_t patch = (size_t)(of[PATCH_H] * of[PATCH_W]), is_depthwise = of[KIND] == DEPTHWISE;
    int8_t *scratch = (int8_t *)block(patch * ((size_t)of[IN_C] + is_depthwise));
    const le_conv2d_packed layer = {windows, channels, row_bytes, (uint8_t)of[AT_ONCE], sum, packed, to};
    if (is_depthwise) {
        const uint16_t multiplier = (uint16_t)(channels / of[IN_C]);
        const le_depthwise_conv2d plain = {windows, channels, multiplier, weights, to};
        const le_depthwise_conv2d_packed each = {layer, multiplier};
        le_depthwise_conv2d_packed_s8(&each, input, scratch, output);
        le_depthwise_conv2d_s8(&plain, input, scratch, output);
    } else {
        const le_conv2d plain = {windows, channels, weights, to};
        le_conv2d_packed_s8(&layer, input, scratch, output);
        le_conv2d_s8(&plain, input, scratch, output);
    }
    free(scratch);
}

int main(void)
{
    int32_t of[SIZES];
    while (fread(of, sizeof of, 1, stdin)) {
        const size_t taps = (size_t)(of[WINDOW_H] * of[WINDOW_W] * (of[KIND] == DEPTHWISE ? 1 : of[IN_C]));
        const size_t outputs = (size_t)(of[OUT_H] * of[OUT_W] * of[OUT_C]);
        int8_t *weights = (int8_t *)read_block(taps * (size_t)of[OUT_C]);
        uint8_t *packed = (uint8_t *)read_block((size_t)(of[ROW_BYTES] * of[OUT_C]));
        int8_t *input = (int8_t *)read_block((size_t)(of[IN_H] * of[IN_W] * of[IN_C]));
        int8_t *output = (int8_t *)block(outputs);
        sums = (int32_t *)block(3 * outputs * sizeof *sums);
        count = 0;
        compute(of, weights, packed, input, output);
        fwrite(sums, sizeof *sums, count, stdout);
        fflush(stdout);
        free(weights);
        free(packed);
        free(input);
        free(output);
        free(sums);
    }
    return 0;
}
