/* Convolution 5 x 5 of several input channels, pooled by 2 x 2: a window of the pooling, all channels.
 *
 * The fast FIR algorithm of le_conv2d_pairs_dsp.S in both directions, nested: what it says of columns is done with rows
 * first. Of six rows r and the rows h of taps come
 *
 *     o  (r1, r3, r5)             with (h0 + h1, h2 + h3, h4)
 *     e  (r0 - r1, r2 - r3, r4 - r5)   (h0, h2, h4)
 *     n  (r2 - r1, r4 - r3)            (h1, h3)
 *
 * and of the columns of each the same again: nine sums, oo to nn, with 64 products where the plain four sums have 100:
 *
 *     y00 = oo + oe + eo + ee      y01 = oo + on + eo + en
 *     y10 = oo + oe + no + ne      y11 = oo + on + no + nn
 *
 * Products and sums may wrap but for what is compared, and that is no larger than twice the layer's largest sum:
 * families/dsp_nested.py makes sure that it fits an int32, and each factor an int16 (a difference of differences of int8
 * is at most 510, a sum of four doubled weights at most 1024).
 *
 * Table, for each group of four channels: their biases; the taps of oo, oe, on, eo, ... nn, each [column][pair of channels]
 * [row][4 channels], low half the first of the pair; four multipliers. With TFLM's rounding biases and taps are doubled,
 * and behind them is for each channel multiplier, addend, shift (le_requantize_dsp.h).
 *
 * Registers: r0-r3 sums of four channels; r4-r6 x; r7-r10 taps; r11 x, r12 table, lr rounds left.
 * Three words of x by four channels are 12 SMLAD in 16 instructions.
 */
#ifdef __ARM_FEATURE_DSP /* elsewhere le_dsp.h says what is wrong */
#include "le_requantize_dsp.h"

    .syntax unified
    .thumb

    .set x_at, 0 /* bytes on the stack: where the nine begin */
    .set rounds, 36 /* of each: pairs of input channels */
    .set zeros, 40 /* 2 words */
    .set first, 48 /* 4 words each: the sum that two others begin with */
    .set left_o, 64 /* left and right sums of the rows o, then e */
    .set right_o, 80
    .set left_e, 96
    .set right_e, 112
    .set output_at, 128
    .set groups_left, 132
    .set frame_bytes, 136

    .macro four_products x
    ldmia r12!, {r7-r10}
    smlad r0, \x, r7, r0
    smlad r1, \x, r8, r1
    smlad r2, \x, r9, r2
    smlad r3, \x, r10, r3
    .endm

    .macro sum number, threes, twos=0 /* so many times `rounds` words of x */
    ldr r11, [sp, #x_at + 4 * \number]
    ldr lr, [sp, #rounds]
1:
    .rept \threes
    ldmia r11!, {r4-r6}
    four_products r4
    four_products r5
    four_products r6
    .endr
    .rept \twos
    ldmia r11!, {r4, r5}
    four_products r4
    four_products r5
    .endr
    subs lr, lr, #1
    bne 1b
    .endm

    .macro save at
    strd r0, r1, [sp, #\at]
    strd r2, r3, [sp, #\at + 8]
    .endm

    .macro restore at
    ldrd r0, r1, [sp, #\at]
    ldrd r2, r3, [sp, #\at + 8]
    .endm

    .macro from_zero
    ldrd r0, r1, [sp, #zeros]
    ldrd r2, r3, [sp, #zeros]
    .endm

    .macro maximum of, with
    cmp \of, \with
    it lt
    movlt \of, \with
    .endm

    .macro maxima with
    ldrd r4, r5, [sp, #\with]
    ldrd r6, r7, [sp, #\with + 8]
    maximum r0, r4
    maximum r1, r5
    maximum r2, r6
    maximum r3, r7
    .endm

    .macro plus with
    ldrd r4, r5, [sp, #\with]
    ldrd r6, r7, [sp, #\with + 8]
    add r0, r0, r4
    add r1, r1, r5
    add r2, r2, r6
    add r3, r3, r7
    .endm

    .macro finish_tie_free
    ldmia r12!, {r4-r7}
    to_int8_tie_free r0, r4
    to_int8_tie_free r1, r5
    to_int8_tie_free r2, r6
    to_int8_tie_free r3, r7
    .endm

    .macro finish_double
    .irp sum, r0, r1, r2, r3
    ldmia r12!, {r4-r6}
    to_int8_double \sum, r4, r5, r6, r7
    .endr
    .endm

/* r0 le_dsp_nested_sums, r1 table, r2 output, r3 groups */
    .macro window name, rounding
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .balign 4
    .thumb_func
\name:
    push {r4-r11, lr}
    sub sp, sp, #frame_bytes
    strd r2, r3, [sp, #output_at]
    mov r12, r1
    mov r11, sp
    ldmia r0!, {r1-r5}
    stmia r11!, {r1-r5}
    ldmia r0!, {r1-r5}
    stmia r11!, {r1-r5}
    movs r0, #0
    strd r0, r0, [sp, #zeros]
9:
    ldmia r12!, {r0-r3}
    sum 0, 3
    save first
    sum 1, 3
    save left_o
    restore first
    sum 2, 2
    save right_o
    from_zero
    sum 3, 3
    save first
    sum 4, 3
    save left_e
    restore first
    sum 5, 2
    save right_e
    from_zero
    sum 6, 2
    save first
    sum 7, 2
    maxima left_e
    plus left_o
    save left_o
    restore first
    sum 8, 0, 2
    maxima right_e
    plus right_o
    maxima left_o
    finish_\rounding
    ldrd r4, r5, [sp, #output_at]
    strb r0, [r4], #1
    strb r1, [r4], #1
    strb r2, [r4], #1
    strb r3, [r4], #1
    subs r5, r5, #1
    strd r4, r5, [sp, #output_at]
    bne.w 9b
    add sp, sp, #frame_bytes
    pop {r4-r11, pc}
    .size \name, . - \name
    .endm

    window le_nested_dsp_s8, tie_free
    window le_nested_double_dsp_s8, double

/* --- strips --------------------------------------------------------------------------------------
 *
 * Registers: r0, r1, r2 cells of the rows o, e, n; r3, r12 pixels of the upper and lower row; r4-r10 scratch; r11 from a
 * pixel to what is taken off it, less 4; lr channels left, less 4. */

    .set channels, 0 /* on the stack */
    .set columns, 4

    .macro cell upper, lower /* changes r4, r5, lower */
    ldrd r4, r5, [r0, #4]
    stmia r0!, {r4, r5, \lower}
    ssub16 r5, \upper, r5
    ldr r4, [r2, #4]
    stmia r2!, {r4, r5}
    ldrd r4, r5, [r1, #4]
    ssub16 \lower, \upper, \lower
    stmia r1!, {r4, r5, \lower}
    .endm

    .macro four_channels /* r7, r8: their bytes */
    ldr r7, [r3], #4
    ldr r8, [r12], #4
    sxtb16 r9, r7
    sxtb16 r10, r8
    cell r9, r10
    sxtb16 r9, r7, ror #8
    sxtb16 r10, r8, ror #8
    cell r9, r10
    .endm

    .macro less_four_behind rotation:vararg
    ldr r4, [r3, r11]
    ldr r5, [r12, r11]
    sxtb16 r9, r7 \rotation
    sxtb16 r10, r8 \rotation
    sxtb16 r4, r4 \rotation
    sxtb16 r5, r5 \rotation
    ssub16 r9, r9, r4
    ssub16 r10, r10, r5
    .endm

    .macro four_channels_less
    ldr r7, [r3], #4
    ldr r8, [r12], #4
    less_four_behind
    cell r9, r10
    less_four_behind , ror #8
    cell r9, r10
    .endm

    .macro two_bytes of, at:vararg /* to bytes 0 and 2 */
    ldrh \of, [\at]
    orr \of, \of, \of, lsl #8
    sxtb16 \of, \of
    .endm

    .macro one_byte of, at:vararg
    ldrb \of, [\at]
    sxtb16 \of, \of
    .endm

    .macro last_channels bytes, count
    \bytes r9, r3
    \bytes r10, r12
    cell r9, r10
    add r3, r3, #\count
    add r12, r12, #\count
    .endm

    .macro last_channels_less bytes, count
    add r6, r11, #4
    \bytes r9, r3
    \bytes r10, r12
    \bytes r7, r3, r6
    \bytes r8, r12, r6
    ssub16 r9, r9, r7
    ssub16 r10, r10, r8
    cell r9, r10
    add r3, r3, #\count
    add r12, r12, #\count
    .endm

/* r0 le_dsp_nested_rows */
    .macro rows name, less
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .balign 4
    .thumb_func
\name:
    push {r4-r11, lr}
    ldmia r0, {r0-r7}
    push {r6, r7}
    mov r12, r4
    sub r11, r5, #4
1:
    ldr lr, [sp, #channels]
    subs lr, lr, #4
    blt 3f
2:
    four_channels\less
    subs lr, lr, #4
    bge 2b
3:
    tst lr, #2
    beq 4f
    last_channels\less two_bytes, 2
4:
    tst lr, #1
    beq 5f
    last_channels\less one_byte, 1
5:
    ldrd r4, r5, [sp, #channels]
    add r3, r3, r4
    add r12, r12, r4
    subs r5, r5, #1
    str r5, [sp, #columns]
    bne.w 1b
    pop {r4, r5}
    pop {r4-r11, pc}
    .size \name, . - \name
    .endm

    rows le_nested_rows_dsp_s8
    rows le_nested_rows_less_dsp_s8, _less

#endif
