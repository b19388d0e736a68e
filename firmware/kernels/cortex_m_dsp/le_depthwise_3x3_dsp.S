/* Depthwise convolution 3 x 3: four channels of a row of tiles; what they read is in le_depthwise_3x3_dsp.c.
 *
 * A column of the strip is the words a = (row 0, row 1), b = (row 2, row 3) of a channel; in every other row of tiles b
 * lies in front of a. Of a column of taps w0 to w2, kept as u = (w0, w1) and v = (w1, w2), the upper position takes u a
 * and w2 by itself, the lower one w0 by itself and v b. With stride 1 a tile is 2 x 2 positions and 4 columns of x, with
 * stride 2 two positions and 5 columns, of which no row 3.
 *
 * Frame of a channel: bias, twice; u, v of three columns; multiplier, with TFLM's rounding addend and shift.
 *
 * Registers: r0-r3 sums upper left, lower left, upper right, lower right; r4-r9 taps; r10, r11 a column of x; r12 frame,
 * lr x.
 * A tile is 36 MACs in 48 instructions, with stride 2 18 MACs in 31; with TFLM's rounding two more for each position.
 */
#ifdef __ARM_FEATURE_DSP /* elsewhere le_dsp.h says what is wrong */
#include "le_dsp.h"
#include "le_requantize_dsp.h"

    .syntax unified
    .thumb

    .set output_at, 0 /* words on the stack; output, lower, tiles left, output bytes change from tile to tile */
    .set output_bytes, 12
    .set x_start, 16
    .set output_start, 20
    .set tiles, 28
    .set is_odd, 32
    .set channels_left, 36
    .set stack_bytes, 40

    .set column, 32 /* bytes of four channels */
    .set factors, 32 /* in a frame */

    .macro upper sum, from, u, v, a, b
    smlad \sum, \a, \u, \from
    smlabt \sum, \b, \v, \sum
    .endm

    .macro lower sum, from, u, v, a, b
    smlabt \sum, \u, \a, \from
    smlad \sum, \b, \v, \sum
    .endm

    .macro left u, v, a, b
    upper r0, r0, \u, \v, \a, \b
    lower r1, r1, \u, \v, \a, \b
    .endm

    .macro right u, v, a, b
    upper r2, r2, \u, \v, \a, \b
    lower r3, r3, \u, \v, \a, \b
    .endm

    .macro first_left a, b /* the lower sum begins with the bias that the upper one has */
    lower r1, r0, r4, r5, \a, \b
    upper r0, r0, r4, r5, \a, \b
    .endm

    .macro first_right a, b
    lower r3, r2, r4, r5, \a, \b
    upper r2, r2, r4, r5, \a, \b
    .endm

    .macro sums_1 a, b
    ldmia r12, {r0, r2, r4-r9}
    ldrd r10, r11, [lr], #column
    first_left \a, \b
    ldrd r10, r11, [lr], #column
    left r6, r7, \a, \b
    first_right \a, \b
    ldrd r10, r11, [lr]
    left r8, r9, \a, \b
    right r6, r7, \a, \b
    ldrd r10, r11, [lr, #column]
    right r8, r9, \a, \b
    .endm

    .macro half_1 a, b
    ldmia r12, {r0, r2, r4-r9}
    ldrd r10, r11, [lr]
    first_left \a, \b
    ldrd r10, r11, [lr, #column]
    left r6, r7, \a, \b
    ldrd r10, r11, [lr, #2 * column]
    left r8, r9, \a, \b
    .endm

    .macro sums_2 a, b
    half_2 \a, \b
    upper r2, r2, r4, r5, \a, \b
    ldrd r10, r11, [lr, #3 * column]
    upper r2, r2, r6, r7, \a, \b
    ldrd r10, r11, [lr, #4 * column]
    upper r2, r2, r8, r9, \a, \b
    add lr, lr, #4 * column
    .endm

    .macro half_2 a, b
    ldmia r12, {r0, r2, r4-r9}
    ldrd r10, r11, [lr]
    upper r0, r0, r4, r5, \a, \b
    ldrd r10, r11, [lr, #column]
    upper r0, r0, r6, r7, \a, \b
    ldrd r10, r11, [lr, #2 * column]
    upper r0, r0, r8, r9, \a, \b
    .endm

    .macro factors_tie_free
    ldr r4, [r12, #factors]
    .endm

    .macro factors_double
    ldrd r4, r5, [r12, #factors]
    ldr r6, [r12, #factors + 8]
    .endm

    .macro finish_tie_free sum
    to_int8_tie_free \sum, r4
    .endm

    .macro finish_double sum
    to_int8_double \sum, r4, r5, r6, r7
    .endm

    .macro finish_1 rounding /* where there is no lower row it goes to the upper one's place, and first */
    finish_\rounding r0
    finish_\rounding r1
    finish_\rounding r2
    finish_\rounding r3
    ldmia sp, {r5-r8}
    strb r1, [r6]
    strb r3, [r6, r8]
    strb r0, [r5]
    strb r2, [r5, r8]
    add r6, r6, r8, lsl #1
    .endm

    .macro finish_half_1 rounding
    finish_\rounding r0
    finish_\rounding r1
    ldmia sp, {r5, r6}
    strb r1, [r6]
    strb r0, [r5]
    .endm

    .macro finish_2 rounding
    finish_\rounding r0
    finish_\rounding r2
    ldmia sp, {r5-r8}
    strb r0, [r5]
    strb r2, [r5, r8]
    .endm

    .macro finish_half_2 rounding
    finish_\rounding r0
    ldr r5, [sp, #output_at]
    strb r0, [r5]
    .endm

    .macro maximum of, with
    cmp \of, \with
    it lt
    movlt \of, \with
    .endm

/* r0 le_depthwise_tiles. */
    .macro begin name
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .balign 4
    .thumb_func
\name:
    push {r4-r11, lr}
    sub sp, sp, #stack_bytes
    ldmia r0, {r1-r7} /* x, frames, output, lower, tiles, is odd, output bytes */
    mov r12, r2
    str r7, [sp, #output_bytes]
    mov r7, #4
    add r0, sp, #x_start
    stmia r0, {r1, r3-r7}
3:
    ldr lr, [sp, #x_start]
    ldrd r5, r6, [sp, #output_start]
    ldr r7, [sp, #tiles]
    stmia sp, {r5-r7}
    add r0, lr, #8
    add r5, r5, #1
    add r6, r6, #1
    str r0, [sp, #x_start]
    strd r5, r6, [sp, #output_start]
    .endm

    .macro end name, rounding
    add r12, r12, #factors
    add_factors_\rounding
    ldr r7, [sp, #channels_left]
    subs r7, r7, #1
    str r7, [sp, #channels_left]
    bne 3b
    add sp, sp, #stack_bytes
    pop {r4-r11, pc}
    .size \name, . - \name
    .endm

    .macro add_factors_tie_free
    add r12, r12, #4
    .endm

    .macro add_factors_double
    add r12, r12, #12
    .endm

    .macro plain_tiles name, stride, rounding, a, b
    begin \name
    cmp r7, #0
    beq 2f
1:
    sums_\stride \a, \b
    factors_\rounding
    finish_\stride \rounding
    add r5, r5, r8, lsl #1
    subs r7, r7, #1
    stmia sp, {r5-r7}
    bne 1b
2:
    ldr r7, [sp, #is_odd]
    cmp r7, #0
    beq 4f
    half_\stride \a, \b
    factors_\rounding
    finish_half_\stride \rounding
4:
    end \name, \rounding
    .endm

    .macro pooled_tiles name, rounding, a, b
    begin \name
1:
    sums_1 \a, \b
    factors_\rounding
    maximum r0, r1
    maximum r2, r3
    maximum r0, r2
    finish_\rounding r0
    ldmia sp, {r5-r8}
    strb r0, [r5]
    add r5, r5, r8
    subs r7, r7, #1
    stmia sp, {r5-r7}
    bne 1b
    end \name, \rounding
    .endm

    plain_tiles le_depthwise_1_dsp_s8, 1, tie_free, r10, r11
    plain_tiles le_depthwise_1_turned_dsp_s8, 1, tie_free, r11, r10
    plain_tiles le_depthwise_2_dsp_s8, 2, tie_free, r10, r11
    plain_tiles le_depthwise_2_turned_dsp_s8, 2, tie_free, r11, r10
    pooled_tiles le_depthwise_pooled_dsp_s8, tie_free, r10, r11
    pooled_tiles le_depthwise_pooled_turned_dsp_s8, tie_free, r11, r10
    plain_tiles le_depthwise_1_double_dsp_s8, 1, double, r10, r11
    plain_tiles le_depthwise_1_turned_double_dsp_s8, 1, double, r11, r10
    plain_tiles le_depthwise_2_double_dsp_s8, 2, double, r10, r11
    plain_tiles le_depthwise_2_turned_double_dsp_s8, 2, double, r11, r10
    pooled_tiles le_depthwise_pooled_double_dsp_s8, double, r10, r11
    pooled_tiles le_depthwise_pooled_turned_double_dsp_s8, double, r11, r10

#endif
