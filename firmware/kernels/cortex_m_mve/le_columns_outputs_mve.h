/* The outputs of a channel in a strip of le_conv2d_columns_mve.c: maximum over each window, then its
 * requantisation.
 *
 * It is called by the assembly of le_columns_mve.h, with r7 at the channel's requantization and r11 at the le_mve_strip,
 * and keeps r11 and the stack pointer. Returns r7 behind the requantization, and Z set after the last channel.
 *
 * Sums of even columns lie at `even`, those of odd ones at `odd`; both int32 [column][10]. VLD2 puts the upper and
 * the lower ones of four windows into a vector each. Eight windows take 24 instructions on the tie-free grid, 31 with
 * TFLM's rounding; four, 14 and 17.
 *
 * Registers: r1 and r2 sums, r4 output, r6 offsets, r8 fours, r9 from the eights' end back to the fours; r0, r3, r5, r12,
 * q4 requantization. LE needs no DLS in front: nothing here changes what DLS would set. */
#include "le_requantize_mve.h"

    .syntax unified
    .thumb

    .equ OUTPUT, 16 /* of le_mve_strip; channels are behind it */

    /* The maxima of four windows, to `to`. */
    .macro maxima to, low, high
    vld20.32 {\to, \low}, [r1]
    vld21.32 {\to, \low}, [r1]!
    vmax.s32 \to, \to, \low
    vld20.32 {\low, \high}, [r2]
    vld21.32 {\low, \high}, [r2]!
    vmax.s32 \low, \low, \high
    vmax.s32 \to, \to, \low
    .endm

    .section .text.le_columns_outputs_mve_s8, "ax", %progbits
    .global le_columns_outputs_mve_s8
    .type le_columns_outputs_mve_s8, %function
    .thumb_func
    .balign 4
le_columns_outputs_mve_s8:
    mov r10, lr
    ldm r11, {r0, r1, r2, r3, r4, r5, r6, r8, r9, lr}
    add r12, r4, #1
    subs r5, r5, #1
    strd r12, r5, [r11, #OUTPUT]
    load_channel r7, r0, r3, q4, r5, r12
.Leight:
    maxima q0, q1, q2
    maxima q1, q2, q3
    requantize_channel q0, q1, r0, r3, q4, r5, r12
    vldrh.u16 q1, [r6], #16
    vstrb.16 q0, [r4, q1]
    le lr, .Leight
    sub r1, r1, r9
    sub r2, r2, r9
    wls lr, r8, .Ldone
.Lfour:
    maxima q0, q1, q2
    vadd.i32 q0, q0, r0
    scale_of_channel q0, r3, q4, r5
    vqmovnb.s32 q0, q0
    add_zero_point q0, r12
    vqmovnb.s16 q0, q0
    vldrh.u32 q1, [r6], #8
    vstrb.32 q0, [r4, q1]
    le lr, .Lfour
.Ldone:
    bx r10
    .size le_columns_outputs_mve_s8, . - le_columns_outputs_mve_s8
