/* Depthwise convolution: the sums of up to four channels at all positions of a row; what they read is in
 * le_depthwise_conv2d_dsp.c.
 *
 * A window is taps in a row for a channel, so that a sum is one loop over pairs of inputs and pairs of taps, four words
 * at a time, entered in its midst.
 *
 * Registers: r0 sum; r1, r2 x; r3, r4 taps; r5 end of the taps; r6 x of the position, r7 bytes to the next; r8 frame;
 * r9 bytes to the next output; r10 positions left; r11 x, r12 taps, lr output.
 * A position of 3 x 3 is 9 MACs in 27 instructions, with TFLM's rounding in 30.
 */
#ifdef __ARM_FEATURE_DSP /* elsewhere le_dsp.h says what is wrong */
#include "le_dsp.h"
#include "le_requantize_dsp.h"

    .syntax unified
    .thumb

    .set x_start, 0 /* bytes on the stack: le_depthwise_row, which changes from channel to channel */
    .set frame_start, 4
    .set output_start, 8
    .set channel_bytes, 12
    .set frame_bytes, 16
    .set channels_left, 20
    .set entry, 24
    .set row_positions, 28
    .set position_bytes, 32
    .set output_bytes, 36
    .set row_bytes, 40

    .macro finish_tie_free
    ldr r1, [r8, #4]
    to_int8_tie_free r0, r1
    .endm

    .macro finish_double
    ldrd r1, r2, [r8, #4]
    ldr r3, [r8, #12]
    to_int8_double r0, r1, r2, r3, r1
    .endm

/* r0 le_depthwise_row. */
    .macro depthwise_row name, rounding, head_bytes
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .balign 4
    .thumb_func
\name:
    push {r4-r11, lr}
    sub sp, sp, #row_bytes
    ldmia r0, {r1-r10}
    stmia sp, {r1-r10}
    adr r1, 2f
    ldr r2, [sp, #entry]
    add r1, r1, r2
    adds r1, r1, #1 /* Thumb */
    str r1, [sp, #entry]
    ldrd r7, r9, [sp, #position_bytes]
3:
    ldrd r6, r8, [sp, #x_start]
    ldrd lr, r1, [sp, #output_start]
    add r2, r6, r1
    ldr r1, [sp, #frame_bytes]
    add r5, r8, r1
    add r1, lr, #1
    strd r2, r5, [sp, #x_start]
    str r1, [sp, #output_start]
    ldr r10, [sp, #row_positions]
1:
    ldr r0, [r8]
    ldr r1, [sp, #entry]
    add r12, r8, #\head_bytes
    mov r11, r6
    bx r1
    .balign 4
2:
    .rept LE_DSP_WINDOW_STEPS
    ldrd r1, r2, [r11], #8
    ldrd r3, r4, [r12], #8
    smlad r0, r1, r3, r0
    smlad r0, r2, r4, r0
    .endr
4:
    .if 4b - 2b != LE_DSP_WINDOW_STEPS * LE_DSP_WINDOW_STEP_BYTES
    .error "the code of a step is not WINDOW_STEP_BYTES long"
    .endif
    cmp r12, r5
    bne 2b
    finish_\rounding
    strb r0, [lr]
    add lr, lr, r9
    add r6, r6, r7
    subs r10, r10, #1
    bne 1b
    ldr r1, [sp, #channels_left]
    subs r1, r1, #1
    str r1, [sp, #channels_left]
    bne 3b
    add sp, sp, #row_bytes
    pop {r4-r11, pc}
    .size \name, . - \name
    .endm

    depthwise_row le_depthwise_row_dsp_s8, tie_free, 8
    depthwise_row le_depthwise_row_double_dsp_s8, double, 16

#endif
