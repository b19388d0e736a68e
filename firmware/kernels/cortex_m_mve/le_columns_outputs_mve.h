/* The outputs of a channel in a strip of le_conv2d_columns_mve.c: maximum over each window, then its
 * requantisation.
 *
 * void le_columns_outputs_mve_s8(const le_mve_stage *stage, const int32_t *sums, const uint32_t *requantization,
 *                                int8_t *output)
 *
 * Sums of even columns lie at `sums`, those of odd ones further on; both int32 [column][10]. VLD2 puts the upper and
 * the lower ones of four windows into a vector each. Eight windows take 23 instructions on the tie-free grid, 30 with
 * TFLM's rounding.
 *
 * Registers: r1 and r2 sums, r3 output, r4 offsets, r7 back; r5, r6, r8, r12, q4 requantization. */
#include "le_requantize_mve.h"

    .syntax unified
    .thumb

    .macro outputs
    vld20.32 {q0, q1}, [r1]
    vld21.32 {q0, q1}, [r1]!
    vmax.s32 q0, q0, q1
    vld20.32 {q1, q2}, [r2]
    vld21.32 {q1, q2}, [r2]!
    vmax.s32 q1, q1, q2
    vmax.s32 q0, q0, q1
    vld20.32 {q1, q2}, [r1]
    vld21.32 {q1, q2}, [r1]!
    vmax.s32 q1, q1, q2
    vld20.32 {q2, q3}, [r2]
    vld21.32 {q2, q3}, [r2]!
    vmax.s32 q2, q2, q3
    vmax.s32 q1, q1, q2
    requantize_channel q0, q1, r5, r6, q4, r8, r12
    vldrh.16 q1, [r4], #16
    vstrb.16 q0, [r3, q1]
    .endm

    .section .text.le_columns_outputs_mve_s8, "ax", %progbits
    .global le_columns_outputs_mve_s8
    .type le_columns_outputs_mve_s8, %function
    .thumb_func
    .balign 4
le_columns_outputs_mve_s8:
    push {r4-r8, lr}
    vpush {d8-d9}
    load_channel r2, r5, r6, q4, r8, r12
    ldr r4, [r0]
    ldrh r2, [r0, #4]
    dls lr, r2
    ldrh r7, [r0, #6]
    ldrh r2, [r0, #8]
    add r2, r1
1:
    outputs
    le lr, 1b
    subs r1, r1, r7
    subs r2, r2, r7
    outputs
    vpop {d8-d9}
    pop {r4-r8, pc}
    .size le_columns_outputs_mve_s8, . - le_columns_outputs_mve_s8
