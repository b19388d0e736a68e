/* One position of a depthwise convolution with any window: 16 channels at a time, each in a lane.
 *
 * void le_depthwise_mve_s8(const le_mve_taps *layer, const uint32_t taps[], int8_t *output)
 *
 * A tap takes 16 instructions for its 16 products, which are int16 and are added as int32: any weights will do.
 *
 * Table: that of le_depthwise_3x3_mve.h with weights [taps][16], not halved.
 *
 * Registers: r0 taps, r1 inputs of one, r2 where the sixteen begins, r3 first tap, r4 their number, r9 table, r10 output,
 * r11 channels left; sums q0 to q3. All inputs and outputs are predicated. */
#include "le_requantize_mve.h"

    .syntax unified
    .thumb

    .section .text.le_depthwise_mve_s8, "ax", %progbits
    .global le_depthwise_mve_s8
    .type le_depthwise_mve_s8, %function
    .thumb_func
    .balign 4
le_depthwise_mve_s8:
    push {r4, r9-r11, r12, lr}
    vpush {d8-d15}
    ldr r9, [r0]
    ldrh r11, [r0, #4]
    ldrh r4, [r0, #6]
    mov r10, r2
    mov r3, r1
    movs r2, #0
.Lsixteen:
    vctp.8 r11
    vmov.i32 q0, #0
    vmov.i32 q1, #0
    vmov.i32 q2, #0
    vmov.i32 q3, #0
    mov r0, r3
    dls lr, r4
.Ltap:
    ldr r1, [r0], #4
    add r1, r1, r2
    vpst
    vldrbt.8 q4, [r1]
    vldrw.32 q5, [r9], #16
    vmullb.s8 q6, q4, q5
    vmullt.s8 q7, q4, q5
    vmovlb.s16 q4, q6
    vmovlt.s16 q5, q6
    vadd.i32 q0, q0, q4
    vadd.i32 q1, q1, q5
    vmovlb.s16 q4, q7
    vmovlt.s16 q5, q7
    vadd.i32 q2, q2, q4
    vadd.i32 q3, q3, q5
    le lr, .Ltap
    requantize_sixteen r9, r12
    vpst
    vstrbt.8 q0, [r10], #16
    adds r2, #16
    subs r11, #16
    bhi.w .Lsixteen
    vpop {d8-d15}
    pop {r4, r9-r11, r12, pc}
    .size le_depthwise_mve_s8, . - le_depthwise_mve_s8
