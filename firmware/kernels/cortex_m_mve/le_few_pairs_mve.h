/* Two positions of a convolution by four outputs where a position has 16 inputs at most: the weights of four outputs stay
 * in registers while all positions pass.
 *
 * void LE_NAME(const le_mve_pair_matrix *matrix, const le_mve_pair_block *block, const int8_t *input, int8_t *output)
 *
 * Table: as in le_pairs_mve.h, with one vector of inputs. Eight outputs take 29 instructions on the tie-free grid and 39
 * with TFLM's rounding, or 35 if the output's zero point is -128; that has to load the fourth vector of weights each time:
 * its register is needed for the shifts.
 *
 * Registers: sums r0 to r6 of the first position, r8 to lr of the second, even ones; r1 and r5 their inputs, r3 from one
 * pair's inputs to the next, r7 output, r11 to the next pair's, r9 pairs left; q0 to q3 weights, q4 bias, q5 multiplier,
 * q6 and q7 inputs, then sums. P0 has the outputs that there are, two positions for each. */
#include "le_pairs_layout_mve.h"
#include "le_requantize_mve.h"

    .syntax unified
    .thumb

    /* On the stack. */
    .equ OFFSETS, 0 /* uint16 {0, apart, 1, apart + 1, ...}: where the eight outputs belong */
    .equ WEIGHTS, 16
    .equ SHIFTS, 32
    .equ INPUTS, 48 /* the addresses of both positions' */
    .equ OUTPUT, 56 /* its address; pairs */
    .equ TABLE, 64  /* what is next in it; outputs left */
    .equ ZERO, 72
    .equ FRAME, 76

#ifdef LE_DOUBLE_ROUNDING
    .macro load_shifts
    vldrw.32 q6, [r3], #16
    vstrw.32 q6, [sp, #SHIFTS]
    vstrw.32 q3, [sp, #WEIGHTS]
    .endm

    .macro load_weights
    vldrw.32 q3, [sp, #WEIGHTS]
    .endm

    .macro scale_few
    vqrdmulh.s32 q6, q6, q5
    vqrdmulh.s32 q7, q7, q5
#ifndef LE_FROM_ZERO_UP
    vshr.s32 q3, q6, #31
    vadd.i32 q6, q6, q3
    vshr.s32 q3, q7, #31
    vadd.i32 q7, q7, q3
#endif
    vldrw.32 q3, [sp, #SHIFTS]
    vrshl.s32 q6, q6, q3
    vrshl.s32 q7, q7, q3
    ldr r0, [sp, #ZERO]
    .endm
#else
    .macro load_shifts
    .endm

    .macro load_weights
    .endm

    .macro scale_few
    vmulh.s32 q6, q6, q5
    vmulh.s32 q7, q7, q5
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
    strd r3, r4, [sp, #OUTPUT]
    ldrsh r4, [r0, #MATRIX_ZERO_POINT]
    str r4, [sp, #ZERO]
    ldr r4, [r1, #BLOCK_OUTPUTS_APART]
    offsets_of_pair q6, r4, r2
    vstrw.32 q6, [sp, #OFFSETS]
    ldr r11, [r1, #BLOCK_OUTPUT_STEP]
    ldrh r4, [r0, #MATRIX_OUTPUTS]
    ldr r3, [r0, #MATRIX_TABLE]
    ldr r10, [r1, #BLOCK_INPUT_STEP]
.Lgroup: /* r3 table, r4 outputs left, r10 what is to become r3 */
    vldrb.8 q0, [r3], #16
    vldrb.8 q1, [r3], #16
    vldrb.8 q2, [r3], #16
    vldrb.8 q3, [r3], #16
    vldrw.32 q4, [r3], #16
    vldrw.32 q5, [r3], #16
    load_shifts
    strd r3, r4, [sp, #TABLE]
    lsl r4, r4, #1
    vctp.16 r4
    mov r3, r10
    ldrd r7, r9, [sp, #OUTPUT]
    ldrd r1, r5, [sp, #INPUTS]
.Lpair:
    vldrb.8 q6, [r1]
    vldrb.8 q7, [r5]
    vmladav.s8 r0, q6, q0
    load_weights
    vmladav.s8 r8, q7, q0
    add r1, r1, r3
    vmladav.s8 r2, q6, q1
    add r5, r5, r3
    vmladav.s8 r10, q7, q1
    vmladav.s8 r4, q6, q2
    vmladav.s8 r12, q7, q2
    vmladav.s8 r6, q6, q3
    vmladav.s8 lr, q7, q3
    vmov q6[2], q6[0], r0, r4
    vmov q7[2], q7[0], r8, r12
    vmov q6[3], q6[1], r2, r6
    vmov q7[3], q7[1], r10, lr
    vadd.i32 q6, q6, q4
    vadd.i32 q7, q7, q4
    scale_few
    vqmovnb.s32 q6, q6
    vqmovnt.s32 q6, q7
    vldrh.16 q7, [sp, #OFFSETS]
    add_zero_point q6, r0
    vqmovnb.s16 q6, q6
    vpst
    vstrbt.16 q6, [r7, q7]
    add r7, r7, r11
    subs r9, #1
    bne .Lpair
    mov r10, r3
    ldr r7, [sp, #OUTPUT]
    add r7, r7, #4
    str r7, [sp, #OUTPUT]
    ldrd r3, r4, [sp, #TABLE]
    subs r4, #4
    bhi .Lgroup
    add sp, #FRAME
    vpop {d8-d15}
    pop {r4-r11, pc}
    .size LE_NAME, . - LE_NAME
