/* Convolution 5 x 5 of one input channel: a row of tiles of 2 x 2 positions, all channels.
 *
 * A column of the strip is the words (row 0, row 1), (row 2, row 3), (row 4, row 5). Of a column of taps w0 to w4 the
 * upper positions take the pairs (w0, w1), (w2, w3) and w4 by itself, the lower ones w0 by itself, (w1, w2), (w3, w4):
 * six multiplications, and six columns of x for two positions side by side.
 *
 * Table, for each channel: for each column of taps (w0, w1), (w2, w3), (w1, w2), (w3, w4), low half first; the bias four
 * times in front of them, behind them the multiplier and a word that is 0 for the last channel. With TFLM's rounding taps
 * and bias are doubled, and addend and shift follow (le_requantize_dsp.h).
 *
 * Registers: r0-r3 sums upper left, lower left, upper right, lower right; r4-r6 a column of x; r7-r10 a column of
 * taps; r11 x, r12 table, lr output.
 * A channel of a tile is 100 MACs in 88 instructions with pooling (60 of them multiply).
 */
#ifdef __ARM_FEATURE_DSP /* elsewhere le_dsp.h says what is wrong */
#include "le_requantize_dsp.h"

    .syntax unified
    .thumb

    .set tiles_left, 0 /* words on the stack */
    .set table_start, 4
    .set plane_bytes, 8

    .macro one_side upper, lower
    smlad \upper, r4, r7, \upper
    smlabt \lower, r7, r4, \lower
    smlad \upper, r5, r8, \upper
    smlad \lower, r5, r9, \lower
    smlatb \upper, r10, r6, \upper
    smlad \lower, r6, r10, \lower
    .endm

    .macro channel
    ldmia r12!, {r0-r3}
    ldmia r11!, {r4-r6}
    .rept 5
    ldmia r12!, {r7-r10}
    one_side r0, r1
    ldmia r11!, {r4-r6}
    one_side r2, r3
    .endr
    subs r11, r11, #72
    .endm

    .macro maximum of, with
    cmp \of, \with
    it lt
    movlt \of, \with
    .endm

    .macro finish_tie_free sum
    to_int8_tie_free \sum, r4
    .endm

    .macro finish_double sum
    to_int8_double \sum, r4, r6, r7, r9
    .endm

    .macro factors_tie_free
    ldmia r12!, {r4, r5}
    .endm

    .macro factors_double
    ldmia r12!, {r4-r7}
    .endm

    .macro row name
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .balign 4
    .thumb_func
\name:
    push {r4-r11, lr}
    ldr r4, [sp, #36]
    sub sp, sp, #12
    str r4, [sp, #tiles_left]
    str r1, [sp, #table_start]
    str r3, [sp, #plane_bytes]
    mov r11, r0
    mov r12, r1
    mov lr, r2
    .endm

    .macro next_tile name
    cmp r5, #0
    bne 1b
    ldr r4, [sp, #tiles_left]
    add r11, r11, #24 /* two columns */
    ldr r12, [sp, #table_start]
    subs r4, r4, #1
    str r4, [sp, #tiles_left]
    bne 1b
    add sp, sp, #12
    pop {r4-r11, pc}
    .size \name, . - \name
    .endm

    .macro pooled_row name, rounding
    row \name
1:
    channel
    factors_\rounding
    maximum r0, r1
    maximum r2, r3
    maximum r0, r2
    finish_\rounding r0
    strb r0, [lr], #1
    next_tile \name
    .endm

    .macro plain_row name, rounding
    row \name
1:
    channel
    factors_\rounding
    finish_\rounding r0
    finish_\rounding r1
    finish_\rounding r2
    finish_\rounding r3
    ldr r6, [sp, #plane_bytes]
    add r7, lr, r6 /* the planes: upper left, upper right, lower left, lower right */
    add r8, r7, r6
    strb r2, [r7]
    strb r1, [r8]
    strb r3, [r8, r6]
    strb r0, [lr], #1
    next_tile \name
    .endm

    pooled_row le_one_row_pooled_dsp_s8, tie_free
    pooled_row le_one_row_pooled_double_dsp_s8, double
    plain_row le_one_row_dsp_s8, tie_free
    plain_row le_one_row_double_dsp_s8, double

#endif
