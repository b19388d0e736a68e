/* One position of a depthwise convolution 3 x 3: 16 channels at a time, each in a lane.
 *
 * void LE_NAME(const le_mve_taps *layer, const uint32_t taps[9], int8_t *output)
 *
 * VMULLB and VMULLT give the products of the even and of the odd channels as int16. Those of LE_GROUP taps are added as
 * int16; the sums of a group then become int32. The product of a tap is at most 128 |w|, so that a group holds where its
 * |w| add up to 255 at most: the tables are made only for such weights. Off the tie-free grid that is pairs of weights that
 * are not both -128, and 3 x 3 x 16 products take 83 instructions. On the grid, where weights are even, the table has their
 * halves, and VSHLL doubles the sums: any three fit, 72 instructions, and usually all nine, 56. To that come 23 for 16
 * outputs, 42 with TFLM's rounding.
 *
 * Table, for each 16 channels, the last filled up with the first channels again: weights int8 [9][16]; then of the channels
 * 0, 4, 8, 12, of 2, 6, 10, 14, of 1, 5, 9, 13 and of 3, 7, 11, 15 the requantization, int32 [words][4].
 *
 * Registers: r0 to r8 inputs of the taps, r9 table, r10 output, r11 channels left over, lr whole sixteens left, r12 the zero
 * point; sums q0 to q3 as int32, q6 and q7 as int16; q4 inputs, q5 weights. Only inputs and outputs of the last sixteen
 * are predicated: no others may lie outside. */
#include "le_requantize_mve.h"

    .syntax unified
    .thumb

    .macro load_tap x, is_last
    .if \is_last
    vpst
    vldrbt.8 q4, [\x], #16
    .else
    vldrb.8 q4, [\x], #16
    .endif
    .endm

    .macro first_tap x, is_last
    load_tap \x, \is_last
    vldrw.32 q5, [r9], #16
    vmullb.s8 q6, q4, q5
    vmullt.s8 q7, q4, q5
    .endm

    /* In the first group q0 and q1 are still free; later the weights are read twice instead. */
    .macro next_tap x, is_last, is_first_group
    load_tap \x, \is_last
    .if \is_first_group
    vldrw.32 q5, [r9], #16
    vmullb.s8 q0, q4, q5
    vmullt.s8 q1, q4, q5
    vadd.i16 q6, q6, q0
    vadd.i16 q7, q7, q1
    .else
    vldrw.32 q5, [r9]
    vmullb.s8 q5, q4, q5
    vadd.i16 q6, q6, q5
    vldrw.32 q5, [r9], #16
    vmullt.s8 q4, q4, q5
    vadd.i16 q7, q7, q4
    .endif
    .endm

    .macro tap number, x, is_last
    .if \number % LE_GROUP == 0
    first_tap \x, \is_last
    .else
    next_tap \x, \is_last, (\number < LE_GROUP)
    .endif
    .if \number < LE_GROUP && (\number == LE_GROUP - 1 || \number == 8)
    widen_bottom q0, q6
    widen_top q1, q6
    widen_bottom q2, q7
    widen_top q3, q7
    .elseif \number % LE_GROUP == LE_GROUP - 1 || \number == 8
    widen_bottom q4, q6
    widen_top q5, q6
    vadd.i32 q0, q0, q4
    vadd.i32 q1, q1, q5
    widen_bottom q4, q7
    widen_top q5, q7
    vadd.i32 q2, q2, q4
    vadd.i32 q3, q3, q5
    .endif
    .endm

    .macro sixteen is_last
    tap 0, r0, \is_last
    tap 1, r1, \is_last
    tap 2, r2, \is_last
    tap 3, r3, \is_last
    tap 4, r4, \is_last
    tap 5, r5, \is_last
    tap 6, r6, \is_last
    tap 7, r7, \is_last
    tap 8, r8, \is_last
    requantize_sixteen r9, r12
    .endm

    .section .text.LE_NAME, "ax", %progbits
    .global LE_NAME
    .type LE_NAME, %function
    .thumb_func
    .balign 4
LE_NAME:
    push {r4-r11, lr}
    vpush {d8-d15}
    ldr r9, [r0]
    ldrh r11, [r0, #4]
    mov r10, r2
    ldm r1, {r0-r8}
    lsr r12, r11, #4
    wls lr, r12, .Llast
.Lsixteen:
    sixteen 0
    vstrb.8 q0, [r10], #16
    le lr, .Lsixteen
.Llast:
    ands r11, r11, #15
    beq.w .Ldone
    vctp.8 r11
    sixteen 1
    vpst
    vstrbt.8 q0, [r10]
.Ldone:
    vpop {d8-d15}
    pop {r4-r11, pc}
    .size LE_NAME, . - LE_NAME
