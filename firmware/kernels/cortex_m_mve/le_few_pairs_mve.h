/* Two positions of a convolution by four outputs where a position has 16 inputs at most: the weights of four outputs stay
 * in registers while all positions pass.
 *
 * void LE_NAME(const le_mve_pair_matrix *matrix, const le_mve_pair_block *block, const int8_t *input, int8_t *output)
 *
 * Table: as in le_pairs_mve.h, with one vector of inputs; but the last group has channels of the one before once more, or,
 * if there are fewer than four, the last channel again, whose output is then stored several times. So nothing is predicated.
 * Sums begin with their biases, in one load. Eight outputs take 24 instructions on the tie-free grid and 33 with TFLM's
 * rounding, or 28 if the output's zero point is -128.
 *
 * Registers: sums r0 to r6 of the first position, r8 to lr of the second, even ones; r1 and r5 their inputs, r3 from one
 * pair's inputs to the next, r7 output, r11 to the next pair's, r9 the zero point in its lower half, in its upper one
 * pairs left, less one; q0 to q3 weights, q5 multiplier, q6 and q7 inputs, then sums; q4 shifts if the zero point is -128,
 * else with TFLM's rounding nothing for long, else where outputs belong. */
#include "le_pairs_layout_mve.h"
#include "le_requantize_mve.h"

    .syntax unified
    .thumb

    /* On the stack. */
    .equ BIASES, 0   /* of four outputs, twice */
    .equ OFFSETS, 32 /* uint16 {0, apart, 1, apart + 1, ...}: where the eight outputs belong */
    .equ SHIFTS, 48
    .equ INPUTS, 64 /* the addresses of both positions' */
    .equ OUTPUT, 72 /* its address; what becomes r9 */
    .equ TABLE, 80  /* what is next in it; outputs left */
    .equ FRAME, 88

#ifdef LE_DOUBLE_ROUNDING
    .macro load_others
    vldrw.32 q4, [r3], #16
#ifndef LE_FROM_ZERO_UP
    vstrw.32 q4, [sp, #SHIFTS]
#endif
    .endm

    .macro scale_few
    vqrdmulh.s32 q6, q6, q5
    vqrdmulh.s32 q7, q7, q5
#ifndef LE_FROM_ZERO_UP
    vshr.s32 q4, q6, #31
    vadd.i32 q6, q6, q4
    vshr.s32 q4, q7, #31
    vadd.i32 q7, q7, q4
    vldrw.32 q4, [sp, #SHIFTS]
#endif
    vrshl.s32 q6, q6, q4
    vrshl.s32 q7, q7, q4
    .endm

    .macro store_few
    vldrh.16 q7, [sp, #OFFSETS]
    add_zero_point q6, r9
    vqmovnb.s16 q6, q6
    vstrb.16 q6, [r7, q7]
    .endm
#else
    .macro load_others
    vldrh.16 q4, [sp, #OFFSETS]
    .endm

    .macro scale_few
    vmulh.s32 q6, q6, q5
    vmulh.s32 q7, q7, q5
    .endm

    .macro store_few
    vqmovnb.s16 q6, q6
    vstrb.16 q6, [r7, q4]
    .endm
#endif

    begin LE_NAME
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, #FRAME
    ldr r4, [r1]
    add r4, r2
    strd r2, r4, [sp, #INPUTS]
    ldr r4, [r1, #BLOCK_PAIRS]
    subs r4, #1
    ldrh r5, [r0, #MATRIX_ZERO_POINT]
    orr r4, r5, r4, lsl #16
    strd r3, r4, [sp, #OUTPUT]
    ldrh r4, [r0, #MATRIX_OUTPUTS]
    subs r5, r4, #1
    ldr r6, [r1, #BLOCK_OUTPUTS_APART]
    offsets_of_pair q6, r6, r2, r5
    vstrw.32 q6, [sp, #OFFSETS]
    ldr r11, [r1, #BLOCK_OUTPUT_STEP]
    ldr r3, [r0, #MATRIX_TABLE]
    ldr r10, [r1, #BLOCK_INPUT_STEP]
.Lgroup: /* r3 table, r4 outputs left, r10 what is to become r3 */
    vldm r3!, {d0-d11}
    vstrw.32 q4, [sp, #BIASES]
    vstrw.32 q4, [sp, #BIASES + 16]
    load_others
    strd r3, r4, [sp, #TABLE]
    mov r3, r10
    ldrd r7, r9, [sp, #OUTPUT]
    ldrd r1, r5, [sp, #INPUTS]
.Lpair:
    vldrb.8 q6, [r1]
    ldm sp, {r0, r2, r4, r6, r8, r10, r12, lr}
    vldrb.8 q7, [r5]
    vmladava.s8 r0, q6, q0
    add r1, r1, r3
    vmladava.s8 r8, q7, q0
    vmladava.s8 r2, q6, q1
    add r5, r5, r3
    vmladava.s8 r10, q7, q1
    vmladava.s8 r4, q6, q2
    vmladava.s8 r12, q7, q2
    vmladava.s8 r6, q6, q3
    vmladava.s8 lr, q7, q3
    push {r0, r2, r4, r6, r8, r10, r12, lr}
    vpop {d12-d15}
    scale_few
    vqmovnb.s32 q6, q6
    vqmovnt.s32 q6, q7
    store_few
    add r7, r7, r11
    subs r9, #0x10000
    bpl .Lpair
    mov r10, r3
    ldrd r3, r4, [sp, #TABLE]
    subs r4, #4
    bls .Ldone
    ldr r7, [sp, #OUTPUT]
    movs r5, #4
    cmp r4, r5
    csel r5, r4, r5, lo /* fewer for a last group that overlaps */
    add r7, r7, r5
    str r7, [sp, #OUTPUT]
    b .Lgroup
.Ldone:
    add sp, #FRAME
    vpop {d8-d15}
    pop {r4-r11, pc}
    .size LE_NAME, . - LE_NAME
