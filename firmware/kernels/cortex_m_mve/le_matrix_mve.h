/* Matrix times vector, eight outputs at a time, which share each load of 16 inputs; the last four may go by themselves.
 *
 * void le_fully_connected_mve_s8(const le_mve_matrix *matrix, const int8_t *input, int8_t *output)
 *
 * Table, for each group of eight outputs: for the last up to 16 inputs, filled up with zeros, then for each 16 of the
 * others in order, the weights [8][16]; then for each word of the requantization [4] of the even and [4] of the odd
 * outputs: even bias, odd bias, even multiplier, odd multiplier, ... The last group is filled up with zeros, to four
 * where at most four outputs are left: weights [4][16], then bias [4], multiplier [4], ...
 *
 * Per 16 inputs and 8 outputs 9 loads and 8 VMLADAVA: 17 instructions per 128 products; 0.14 per product with 400
 * inputs.
 *
 * Registers: sums r0, r2, ..., lr; r1 inputs, r3 table, r5 scratch, r7 output, r9 rounds left, r11 outputs left, less
 * 4; q0 inputs, q1 to q3 weights, so that no load is used by the instruction behind it. */
#include "le_requantize_mve.h"

    .syntax unified
    .thumb

    .equ UNROLLED, 8    /* steps of 16 inputs in a round */
    .equ STEP_BYTES, 68 /* of the code of one */

    /* On the stack. */
    .equ LAST, 0   /* the address of the last up to 16 inputs, and how many */
    .equ INPUT, 8  /* the address of the others, and rounds of them */
    .equ ENTRY, 16 /* where the first round begins */
    .equ STEPS, 20 /* before the last one */

    .macro step op
    vldrb.8 q1, [r3], #16
    vldrb.8 q2, [r3], #16
    \op r0, q0, q1
    vldrb.8 q3, [r3], #16
    \op r2, q0, q2
    vldrb.8 q1, [r3], #16
    \op r4, q0, q3
    vldrb.8 q2, [r3], #16
    \op r6, q0, q1
    vldrb.8 q3, [r3], #16
    \op r8, q0, q2
    vldrb.8 q1, [r3], #16
    \op r10, q0, q3
    vldrb.8 q2, [r3], #16
    \op r12, q0, q1
    \op lr, q0, q2
    .endm

    .macro half_step op
    vldrb.8 q1, [r3], #16
    vldrb.8 q2, [r3], #16
    \op r0, q0, q1
    vldrb.8 q3, [r3], #16
    \op r2, q0, q2
    vldrb.8 q1, [r3], #16
    \op r4, q0, q3
    \op r6, q0, q1
    .endm

    .macro load_last
    ldrd r1, r5, [sp, #LAST]
    vctp.8 r5
    vpst
    vldrbt.8 q0, [r1]
    .endm

    .section .text.le_fully_connected_mve_s8, "ax", %progbits
    .global le_fully_connected_mve_s8
    .type le_fully_connected_mve_s8, %function
    .thumb_func
    .balign 4
le_fully_connected_mve_s8:
    push {r4-r11, lr}
    sub sp, #24
    ldrh r4, [r0]
    ldrh r11, [r0, #2]
    ldr r3, [r0, #4]
    mov r7, r2
    subs r4, #1
    lsrs r6, r4, #4 /* steps before the last one */
    and r5, r4, #15
    adds r5, #1
    add r4, r1, r6, lsl #4
    strd r4, r5, [sp, #LAST]
    add r9, r6, #UNROLLED - 1
    lsr r9, r9, #3
    strd r1, r9, [sp, #INPUT]
    str r6, [sp, #STEPS]
    rsb r6, r6, #0
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
    str r5, [sp, #ENTRY]
    subs r11, #4
    bls.w .Lfew
.Lgroup:
    load_last
    step vmladav.s8
    ldrd r1, r9, [sp, #INPUT]
    ldr r5, [sp, #ENTRY]
    bx r5
    .balign 4
.Lround:
    .rept UNROLLED
    vldrb.8 q0, [r1], #16
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
    vmov q0[2], q0[0], r0, r8
    vmov q1[2], q1[0], r2, r10
    vmov q0[3], q0[1], r4, r12
    vmov q1[3], q1[1], r6, lr
    requantize_eight
    add r5, r11, #4
    vctp.16 r5
    vpst
    vstrbt.16 q0, [r7], #8
    subs r11, #8
    bhi.w .Lgroup
.Lfew:
    adds r11, #4
    bgt .Lhalf
.Ldone:
    add sp, #24
    pop {r4-r11, pc}
.Lhalf:
    load_last
    half_step vmladav.s8
    ldr r1, [sp, #INPUT]
    ldr r5, [sp, #STEPS]
    wls lr, r5, .Lhalf_sums
.Lhalf_round:
    vldrb.8 q0, [r1], #16
    half_step vmladava.s8
    le lr, .Lhalf_round
.Lhalf_sums:
    vmov q0[2], q0[0], r0, r4
    vmov q0[3], q0[1], r2, r6
    requantize_four
    vctp.32 r11
    vpst
    vstrbt.32 q0, [r7]
    b .Ldone
    .size le_fully_connected_mve_s8, . - le_fully_connected_mve_s8
