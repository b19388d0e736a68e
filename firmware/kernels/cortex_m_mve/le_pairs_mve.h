/* Two positions of a convolution by four outputs at a time: four vectors of weights serve both positions, and the two of
 * inputs all four outputs.
 *
 * void LE_NAME(const le_mve_pair_matrix *matrix, const le_mve_pair_block *block, const int8_t *input, int8_t *output)
 *
 * Table, for each group of four outputs, the last one filled up with zeros: for each 16 inputs the weights [4][16], the
 * last ones filled up with zeros; then for each word of the requantization [4].
 *
 * Per 16 inputs 6 loads and 8 VMLADAVA: 14 instructions per 128 products. A group takes 23 more on the tie-free grid
 * and 31 with TFLM's rounding, or 27 if the output's zero point is -128: 0.16 per product with 64 inputs.
 *
 * Registers: sums r0 to r6 of the first position, r8 to lr of the second, even ones; r1 and r5 their inputs, r3 table,
 * r7 output, r9 rounds left, r11 outputs left; q0 and q1 inputs, q2 to q5 weights, so that no load is used by the
 * instruction behind it; q6 zero point of the output, q7 where the eight outputs belong. */
#include "le_pairs_layout_mve.h"
#include "le_requantize_mve.h"

    .syntax unified
    .thumb

    .equ UNROLLED, 4    /* steps of 16 inputs in a round */
    .equ STEP_BYTES, 56 /* of the code of one */

    /* On the stack. */
    .equ INPUTS, 0  /* the addresses of both positions' */
    .equ ENTRY, 8   /* where the first round begins; rounds */
    .equ ROUNDS, 12
    .equ TABLE, 16  /* its beginning; outputs */
    .equ OUTPUT, 24 /* its address; pairs left */
    .equ BLOCK, 32

    .macro step op
    vldrb.8 q0, [r1], #16
    vldrb.8 q2, [r3], #16
    vldrb.8 q1, [r5], #16
    \op r0, q0, q2
    vldrb.8 q3, [r3], #16
    \op r8, q1, q2
    vldrb.8 q4, [r3], #16
    \op r2, q0, q3
    \op r10, q1, q3
    vldrb.8 q5, [r3], #16
    \op r4, q0, q4
    \op r12, q1, q4
    \op r6, q0, q5
    \op lr, q1, q5
    .endm

    begin LE_NAME
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, #36
    str r1, [sp, #BLOCK]
    ldr r5, [r1, #BLOCK_PAIRS]
    strd r3, r5, [sp, #OUTPUT]
    ldr r5, [r1]
    add r5, r2
    strd r2, r5, [sp, #INPUTS]
    ldr r3, [r0, #MATRIX_TABLE]
    ldrh r11, [r0, #MATRIX_OUTPUTS]
    strd r3, r11, [sp, #TABLE]
    ldrsh r5, [r0, #MATRIX_ZERO_POINT]
    vdup.16 q6, r5
    ldr r5, [r1, #BLOCK_OUTPUTS_APART]
    offsets_of_pair q7, r5, r2
    ldrh r4, [r0]
    subs r4, #1 /* steps behind the first one */
    add r9, r4, #UNROLLED - 1
    lsr r9, r9, #2
    rsb r6, r4, #0
    and r6, r6, #UNROLLED - 1 /* of the first round, these are skipped */
    mov r5, #STEP_BYTES
    mul r6, r6, r5
    adr.w r5, .Lround
    add r5, r6
    cmp r9, #0
    bne 1f
    adr.w r5, .Lsums
1:
    orr r5, r5, #1
    strd r5, r9, [sp, #ENTRY]
.Lpair:
    ldrd r3, r11, [sp, #TABLE]
    ldr r7, [sp, #OUTPUT]
.Lgroup:
    ldrd r1, r5, [sp, #INPUTS]
    step vmladav.s8
    ldr r9, [sp, #ROUNDS]
    ldr pc, [sp, #ENTRY]
    .balign 4
.Lround:
    .rept UNROLLED
    step vmladava.s8
    .endr
.Lround_end:
    .if .Lround_end - .Lround != UNROLLED * STEP_BYTES
    .error "the code of a step is not STEP_BYTES long"
    .endif
    subs r9, #1
    bne.w .Lround
    .balign 4
.Lsums:
    vmov q0[2], q0[0], r0, r4
    vmov q1[2], q1[0], r8, r12
    vmov q0[3], q0[1], r2, r6
    vmov q1[3], q1[1], r10, lr
    requantize_two
    subs r11, #4
    blo .Lfew
    vstrb.16 q0, [r7, q7]
    add r7, r7, #4
    bne.w .Lgroup
.Lnext:
    ldr r9, [sp, #BLOCK]
    ldrd r1, r5, [sp, #INPUTS]
    ldr r3, [r9, #BLOCK_INPUT_STEP]
    add r1, r3
    add r5, r3
    strd r1, r5, [sp, #INPUTS]
    ldrd r7, r11, [sp, #OUTPUT]
    ldr r3, [r9, #BLOCK_OUTPUT_STEP]
    add r7, r3
    subs r11, #1
    strd r7, r11, [sp, #OUTPUT]
    bne.w .Lpair
    add sp, #36
    vpop {d8-d15}
    pop {r4-r11, pc}
.Lfew:
    adds r11, #4
    lsl r11, r11, #1
    vctp.16 r11
    vpst
    vstrbt.16 q0, [r7, q7]
    b .Lnext
    .size LE_NAME, . - LE_NAME
