/* Matrix times vector, eight outputs at a time, which share each load of 16 inputs; the last four may go by themselves.
 *
 * void le_fully_connected_mve_s8(const le_mve_matrix *matrix, const int8_t *input, int8_t *output)
 *
 * Table, for each group of eight outputs: their biases; for each 16 inputs in order, the last ones filled up with zeros,
 * the weights [8][16]; then for each other word of the requantization [4] of the even and [4] of the odd outputs: even
 * multiplier, odd multiplier, ... The last group is filled up with zeros, to four where at most four outputs are left:
 * bias [4], weights [4][16], then multiplier [4], ...
 *
 * The inputs of the last four steps stay in registers. A step of 16 inputs and 8 outputs takes 16 instructions there, 17
 * elsewhere, for 128 products; eight outputs 20 more. 0.14 per product with 400 inputs.
 *
 * Registers: sums r0, r2, ..., lr; r1 inputs, r3 table, r5 scratch, r7 output, r9 rounds left, r11 outputs left, less
 * 4; q0 inputs, q1 to q3 weights, so that no load is used by the instruction behind it; q4 to q7 the inputs that stay. */
#include "le_requantize_mve.h"

    .syntax unified
    .thumb

    .equ UNROLLED, 8    /* steps of 16 inputs in a round */
    .equ STEP_BYTES, 68 /* of the code of one */
    .equ KEPT, 4        /* steps whose inputs stay */
    .equ KEPT_BYTES, 64 /* of the code of one */

    /* On the stack. */
    .equ INPUT, 0  /* the address of the inputs that do not stay, and rounds of them */
    .equ ENTRY, 8  /* where the first step begins */
    .equ STEPS, 12 /* before the last one */

    .macro step inputs
    vldrb.8 q1, [r3], #16
    vldrb.8 q2, [r3], #16
    vmladava.s8 r0, \inputs, q1
    vldrb.8 q3, [r3], #16
    vmladava.s8 r2, \inputs, q2
    vldrb.8 q1, [r3], #16
    vmladava.s8 r4, \inputs, q3
    vldrb.8 q2, [r3], #16
    vmladava.s8 r6, \inputs, q1
    vldrb.8 q3, [r3], #16
    vmladava.s8 r8, \inputs, q2
    vldrb.8 q1, [r3], #16
    vmladava.s8 r10, \inputs, q3
    vldrb.8 q2, [r3], #16
    vmladava.s8 r12, \inputs, q1
    vmladava.s8 lr, \inputs, q2
    .endm

    .macro half_step inputs
    vldrb.8 q1, [r3], #16
    vldrb.8 q2, [r3], #16
    vmladava.s8 r0, \inputs, q1
    vldrb.8 q3, [r3], #16
    vmladava.s8 r2, \inputs, q2
    vldrb.8 q1, [r3], #16
    vmladava.s8 r4, \inputs, q3
    vmladava.s8 r6, \inputs, q1
    .endm

    .section .text.le_fully_connected_mve_s8, "ax", %progbits
    .global le_fully_connected_mve_s8
    .type le_fully_connected_mve_s8, %function
    .thumb_func
    .balign 4
le_fully_connected_mve_s8:
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, #20
    ldrh r4, [r0]
    ldrh r11, [r0, #2]
    ldr r3, [r0, #4]
    mov r7, r2
    subs r4, #1
    lsrs r6, r4, #4 /* steps before the last one */
    and r4, r4, #15
    adds r4, #1
    vctp.8 r4
    add r4, r1, r6, lsl #4
    str r6, [sp, #STEPS]
    vpst
    vldrbt.8 q7, [r4]
    cbz r6, .Lloaded
    vldrb.8 q6, [r4, #-16]
    cmp r6, #KEPT - 1
    bls .Lfew_steps
    vldrb.8 q5, [r4, #-32]
    vldrb.8 q4, [r4, #-48]
    subs r6, #KEPT - 1 /* which do not stay */
    add r9, r6, #UNROLLED - 1
    lsr r9, r9, #3
    strd r1, r9, [sp, #INPUT]
    rsb r6, r6, #0
    and r6, r6, #UNROLLED - 1 /* of the first round, these are skipped */
    mov r5, #STEP_BYTES
    mul r6, r6, r5
    adr.w r5, .Lround
    b .Lentry
.Lfew_steps:
    cmp r6, #1
    beq .Lloaded
    vldrb.8 q5, [r4, #-32]
    cmp r6, #2
    beq .Lloaded
    vldrb.8 q4, [r4, #-48]
.Lloaded:
    str r1, [sp, #INPUT]
    rsb r6, r6, #KEPT - 1
    lsl r6, r6, #6 /* KEPT_BYTES */
    adr.w r5, .Lkept
.Lentry:
    add r5, r6
    orr r5, r5, #1
    str r5, [sp, #ENTRY]
    subs r11, #4
    bls.w .Lfew
.Lgroup:
    ldrd r1, r9, [sp, #INPUT]
    ldr r5, [sp, #ENTRY]
    ldm r3!, {r0, r2, r4, r6, r8, r10, r12, lr}
    bx r5
    .balign 4
.Lround:
    .rept UNROLLED
    vldrb.8 q0, [r1], #16
    step q0
    .endr
.Lround_end:
    .if .Lround_end - .Lround != UNROLLED * STEP_BYTES
    .error "the code of a step is not STEP_BYTES long"
    .endif
    subs r9, #1
    bne.w .Lround
    .balign 4
.Lkept:
    step q4
    step q5
    step q6
    step q7
.Lkept_end:
    .if .Lkept_end - .Lkept != KEPT * KEPT_BYTES || KEPT_BYTES != 1 << 6
    .error "the code of a step is not KEPT_BYTES long"
    .endif
    vmov q0[2], q0[0], r0, r8
    vmov q1[2], q1[0], r2, r10
    vmov q0[3], q0[1], r4, r12
    vmov q1[3], q1[1], r6, lr
    requantize_eight
    subs r11, #8
    bls .Llast
    vstrb.16 q0, [r7], #8
    b .Lgroup
.Llast: /* at most eight, and at most four behind them */
    add r5, r11, #12
    vctp.16 r5
    vpst
    vstrbt.16 q0, [r7], #8
.Lfew:
    adds r11, #4
    ble .Ldone
    ldm r3!, {r0, r2, r4, r6}
    ldr r1, [sp, #INPUT]
    ldr r5, [sp, #STEPS]
    wls lr, r5, .Lhalf_last
.Lhalf_round:
    vldrb.8 q0, [r1], #16
    half_step q0
    le lr, .Lhalf_round
.Lhalf_last:
    half_step q7
    vmov q0[2], q0[0], r0, r4
    vmov q0[3], q0[1], r2, r6
    requantize_four
    vctp.32 r11
    vpst
    vstrbt.32 q0, [r7]
.Ldone:
    add sp, #20
    vpop {d8-d15}
    pop {r4-r11, pc}
    .size le_fully_connected_mve_s8, . - le_fully_connected_mve_s8
