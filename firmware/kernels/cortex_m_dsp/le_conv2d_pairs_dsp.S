/* Convolution of several input channels: a tile of 2 x 2 positions, all channels.
 *
 * Two neighbours in a row, y0 and y1, share all but one of their inputs. With taps h0 to h4 (or fewer) and inputs x0 to x5,
 *
 *     odd  = (h0 + h1) x1 + (h2 + h3) x3 + h4 x5
 *     even = h0 (x0 - x1) + h2 (x2 - x3) + h4 (x4 - x5)
 *     next = h1 (x2 - x1) + h3 (x4 - x3)
 *     y0 = even + odd,  y1 = odd + next
 *
 * is 8 multiplications instead of 10, exact in integers: the two-parallel fast FIR algorithm (Parhi, VLSI Digital Signal
 * Processing Systems, 9.2.1). The differences of x serve all channels, the sums of h are made by the exporter.
 *
 * A cell is what a column of one pair of channels is for four output channels: kernel + 1 words of x, above each other,
 * and kernel times four words of taps; two words of x and two of taps at a time, 8 SMLAD in 11 instructions.
 *
 * Table, for each group of four channels: their biases, each twice; the taps of odd, even, next, each [column][pair of
 * channels][row][4 channels], low half the first of the pair; four multipliers. With TFLM's rounding biases and taps are
 * doubled, and behind them is for each channel multiplier, addend, shift (le_requantize_dsp.h).
 *
 * Registers: r0-r7 sums of channel 0 upper, lower, channel 1 upper, lower ...; r8, r9 x; r10, r11 taps; r12 x, lr table.
 * 5 x 5: 16 MACs of the plain sum in 8.8 instructions and a rest that depends on the number of channels.
 */
#ifdef __ARM_FEATURE_DSP /* elsewhere le_dsp.h says what is wrong */
#include "le_dsp.h"
#include "le_requantize_dsp.h"

    .syntax unified
    .thumb

    .set saved_odd, 0 /* bytes on the stack; 8 words */
    .set saved_left, 32 /* 8 words */
    .set cells, 64 /* le_cells[3] */
    .set output_at, 100
    .set plane_bytes, 104
    .set groups_left, 108
    .set frame_bytes, 112

    .macro row step
    ldrd r8, r9, [r12], #\step
    ldrd r10, r11, [lr], #8
    smlad r0, r8, r10, r0
    smlad r1, r9, r10, r1
    smlad r2, r8, r11, r2
    smlad r3, r9, r11, r3
    ldrd r10, r11, [lr], #8
    smlad r4, r8, r10, r4
    smlad r5, r9, r10, r5
    smlad r6, r8, r11, r6
    smlad r7, r9, r11, r7
    .endm

    .macro sum kernel, number /* over the cells of segment `number` */
    ldrd r12, r9, [sp, #cells + 12 * \number]
    adr r8, 7f
    add r8, r8, r9
    bx r8
    .balign 4
7:
    .rept LE_DSP_CELLS
    .rept \kernel - 1
    row 4
    .endr
    row 8
    .endr
8:
    .if 8b - 7b != LE_DSP_CELLS * LE_DSP_CELL_BYTES * \kernel
    .error "the code of a row of a cell is not CELL_BYTES long"
    .endif
    ldr r8, [sp, #cells + 12 * \number + 8]
    cmp r12, r8
    bne 7b
    .endm

    .macro maximum of, with
    cmp \of, \with
    it lt
    movlt \of, \with
    .endm

/* The sums of four channels, in registers two apart, to int8; the table then stands behind the factors. */
    .macro four_tie_free a, b, c, d
    ldmia lr!, {r8-r11}
    to_int8_tie_free \a, r8
    to_int8_tie_free \b, r9
    to_int8_tie_free \c, r10
    to_int8_tie_free \d, r11
    .endm

    .macro one_double sum
    ldmia lr!, {r8-r10}
    to_int8_double \sum, r8, r9, r10, r11
    .endm

    .macro four_double a, b, c, d
    one_double \a
    one_double \b
    one_double \c
    one_double \d
    .endm

/* The same with the sums in r0-r7, two of each channel, and once more for the other two: TFLM's factors are read again. */
    .macro factors_tie_free
    ldmia lr!, {r8-r11}
    .endm

    .macro factors_double
    .endm

    .macro again_tie_free
    .endm

    .macro again_double
    sub lr, lr, #48
    .endm

    .macro eight_tie_free
    to_int8_tie_free r0, r8
    to_int8_tie_free r2, r9
    to_int8_tie_free r4, r10
    to_int8_tie_free r6, r11
    to_int8_tie_free r1, r8
    to_int8_tie_free r3, r9
    to_int8_tie_free r5, r10
    to_int8_tie_free r7, r11
    .endm

    .macro two_double a, b
    ldmia lr!, {r8-r10}
    to_int8_double \a, r8, r9, r10, r11
    to_int8_double \b, r8, r9, r10, r11
    .endm

    .macro eight_double
    two_double r0, r1
    two_double r2, r3
    two_double r4, r5
    two_double r6, r7
    .endm

    .macro tile name, kernel
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .balign 4
    .thumb_func
\name:
    push {r4-r11, lr}
    ldr r4, [sp, #36]
    sub sp, sp, #frame_bytes
    strd r2, r3, [sp, #output_at]
    str r4, [sp, #groups_left]
    mov lr, r1
    ldmia r0!, {r1-r9}
    add r12, sp, #cells
    stmia r12, {r1-r9}
1:
    ldmia lr!, {r0-r7}
    sum \kernel, 0
    stmia sp, {r0-r7}
    sum \kernel, 1
    add r8, sp, #saved_left
    stmia r8, {r0-r7}
    ldmia sp, {r0-r7}
    sum \kernel, 2
    .endm

    .macro next_group name
    ldr r0, [sp, #groups_left]
    subs r0, r0, #1
    str r0, [sp, #groups_left]
    bne 1b
    add sp, sp, #frame_bytes
    pop {r4-r11, pc}
    .size \name, . - \name
    .endm

    .macro pooled_tile name, kernel, rounding
    tile \name, \kernel
    maximum r0, r1
    maximum r2, r3
    maximum r4, r5
    maximum r6, r7
    ldrd r8, r9, [sp, #saved_left]
    ldrd r10, r11, [sp, #saved_left + 8]
    maximum r0, r8
    maximum r2, r10
    maximum r0, r9
    maximum r2, r11
    ldrd r8, r9, [sp, #saved_left + 16]
    ldrd r10, r11, [sp, #saved_left + 24]
    maximum r4, r8
    maximum r6, r10
    maximum r4, r9
    maximum r6, r11
    four_\rounding r0, r2, r4, r6
    ldr r12, [sp, #output_at]
    strb r0, [r12], #1
    strb r2, [r12], #1
    strb r4, [r12], #1
    strb r6, [r12], #1
    str r12, [sp, #output_at]
    next_group \name
    .endm

    .macro two_planes rounding /* of the sums in r0-r7: the upper ones at r12, the lower ones two planes further */
    eight_\rounding
    strb r0, [r12]
    strb r2, [r12, #1]
    strb r4, [r12, #2]
    strb r6, [r12, #3]
    ldr r0, [sp, #plane_bytes]
    add r0, r12, r0, lsl #1
    strb r1, [r0]
    strb r3, [r0, #1]
    strb r5, [r0, #2]
    strb r7, [r0, #3]
    .endm

    .macro plain_tile name, kernel, rounding
    tile \name, \kernel
    ldrd r12, r8, [sp, #output_at]
    add r12, r12, r8
    factors_\rounding
    two_planes \rounding
    add r0, sp, #saved_left
    ldmia r0, {r0-r7}
    ldr r12, [sp, #output_at]
    again_\rounding
    two_planes \rounding
    add r12, r12, #4
    str r12, [sp, #output_at]
    next_group \name
    .endm

    .macro tiles kernel
    pooled_tile le_pairs_\kernel\()_pooled_dsp_s8, \kernel, tie_free
    pooled_tile le_pairs_\kernel\()_pooled_double_dsp_s8, \kernel, double
    plain_tile le_pairs_\kernel\()_dsp_s8, \kernel, tie_free
    plain_tile le_pairs_\kernel\()_double_dsp_s8, \kernel, double
    .endm

    tiles 1
    tiles 3
    tiles 5

#endif
