/* The outputs of a channel in a strip of le_conv2d_columns_mve.c: maximum over each window, then its
 * requantisation.
 *
 * It is called by the assembly of le_columns_mve.h, with r7 at the channel's requantization and r11 at the le_mve_strip,
 * and keeps these two, r9 and the stack pointer. Returns r7 behind the requantization, and Z set after the last channel.
 *
 * Sums of even columns lie at `even`, those of odd ones at `odd`; both int32 [column][10]. VLD2 puts the upper and
 * the lower ones of four windows into a vector each. Eight windows take 23 instructions on the tie-free grid, 30 with
 * TFLM's rounding; four, 12 and 15.
 *
 * Registers: r1 and r2 sums, r3 output, r4 offsets; r5, r6, r8, r12, q4 requantization. */
#include "le_requantize_mve.h"

    .syntax unified
    .thumb

    /* Of le_mve_strip. */
    .equ EVEN, 12
    .equ OUTPUT, 24
    .equ OFFSETS, 28
    .equ CHANNELS, 32
    .equ EIGHTS, 36
    .equ FOURS, 38
    .equ BACK, 40

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
    load_channel r7, r5, r6, q4, r8, r12
    ldrd r1, r2, [r11, #EVEN]
    ldrd r3, r4, [r11, #OUTPUT]
    ldrh r0, [r11, #EIGHTS]
    dls lr, r0
.Leight:
    maxima q0, q1, q2
    maxima q1, q2, q3
    requantize_channel q0, q1, r5, r6, q4, r8, r12
    vldrh.u16 q1, [r4], #16
    vstrb.16 q0, [r3, q1]
    le lr, .Leight
    ldrh r0, [r11, #BACK]
    subs r1, r1, r0
    subs r2, r2, r0
    ldrh r0, [r11, #FOURS]
    wls lr, r0, .Ldone
.Lfour:
    maxima q0, q1, q2
    vadd.i32 q0, q0, r5
    scale_of_channel q0, r6, q4, r8
    vqmovnb.s32 q0, q0
    add_zero_point q0, r12
    vqmovnb.s16 q0, q0
    vldrh.u32 q1, [r4], #8
    vstrb.32 q0, [r3, q1]
    le lr, .Lfour
.Ldone:
    ldr r0, [r11, #CHANNELS]
    adds r3, #1
    str r3, [r11, #OUTPUT]
    subs r0, #1
    str r0, [r11, #CHANNELS]
    bx r10
    .size le_columns_outputs_mve_s8, . - le_columns_outputs_mve_s8
