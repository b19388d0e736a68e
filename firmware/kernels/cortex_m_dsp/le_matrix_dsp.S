/* Six outputs of a matrix times vector.
 *
 * Weights stay int8, two outputs in a halfword h = 256 b + a: the sum S of h x and the sum A of a x give B = (S - A) / 256.
 * That h is an int16, which it is but where b is -128 and a negative, and that 256 B does not overflow,
 * families/cortex_m_dsp.py makes sure of for every model. Of many inputs it may: `wide` has B of LE_DSP_FOLD_BYTES of
 * pairs at most, which never is 2^23 or more, adds it up in three words on the stack, and goes on with S = A.
 *
 * Registers: r0-r5 S and A of three pairs of outputs; r6, r7 four inputs as two pairs; r8-r10 weights of one pair of
 * inputs; r11 x, r12 table, lr the end of x.
 * A step is four inputs: 24 MACs in 21 instructions (0.875 per MAC), 5 steps between two branches.
 */
#ifdef __ARM_FEATURE_DSP /* elsewhere le_dsp.h says what is wrong */
#include "le_dsp.h"
#include "le_requantize_dsp.h"

    .syntax unified
    .thumb

    .macro half_step x
    ldmia r12!, {r8-r10}
    smlad r0, \x, r8, r0
    sxtb16 r8, r8
    smlad r1, \x, r8, r1
    smlad r2, \x, r9, r2
    sxtb16 r9, r9
    smlad r3, \x, r9, r3
    smlad r4, \x, r10, r4
    sxtb16 r10, r10
    smlad r5, \x, r10, r5
    .endm

    .macro step
    ldrd r6, r7, [r11], #8
    half_step r6
    half_step r7
    .endm

    .macro two_outputs_tie_free s, a
    ldmia r12!, {r6-r9}
    sub \s, \s, \a
    add \a, \a, r6
    add \s, r8, \s, asr #8
    to_int8_tie_free \a, r7
    to_int8_tie_free \s, r9
    strb \a, [lr], #1
    strb \s, [lr], #1
    .endm

    .macro two_outputs_double s, a /* twice the sums: S - A ends in eight zeros, of which one is kept */
    ldmia r12!, {r6-r9}
    sub \s, \s, \a
    add \a, r6, \a, lsl #1
    to_int8_double \a, r7, r8, r9, r7
    ldmia r12!, {r6-r9}
    add \s, r6, \s, asr #7
    to_int8_double \s, r7, r8, r9, r7
    strb \a, [lr], #1
    strb \s, [lr], #1
    .endm

    .macro two_outputs_tie_free_wide b, a
    ldmia r12!, {r6-r9}
    add \a, \a, r6
    add \b, \b, r8
    to_int8_tie_free \a, r7
    to_int8_tie_free \b, r9
    strb \a, [lr], #1
    strb \b, [lr], #1
    .endm

    .macro two_outputs_double_wide b, a
    ldmia r12!, {r6-r9}
    add \a, r6, \a, lsl #1
    to_int8_double \a, r7, r8, r9, r7
    ldmia r12!, {r6-r9}
    add \b, r6, \b, lsl #1
    to_int8_double \b, r7, r8, r9, r7
    strb \a, [lr], #1
    strb \b, [lr], #1
    .endm

    .macro fold s, a, b /* S becomes A, and what is between them goes to B */
    sub \s, \s, \a
    add \b, \b, \s, asr #8
    mov \s, \a
    .endm

/* r0 x, r1 table, r2 end of x, r3 outputs, [sp] bytes of code to leave out the first time; returns the table's next group. */
    .macro matrix name, rounding, is_wide=0
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .balign 4
    .thumb_func
\name:
    push {r3-r11, lr}
    ldr r6, [sp, #40]
    mov r11, r0
    mov r12, r1
    mov lr, r2
    .if \is_wide
    movs r7, #0
    movs r8, #0
    movs r9, #0
    push {r2, r7-r9} /* the end of x, B */
3:
    sub r7, lr, #LE_DSP_FOLD_BYTES
    cmp r7, r11
    bls 4f
    mov lr, r7
    b 3b
4:
    .endif
    adr r7, 1f
    adds r7, r7, r6
    adds r7, r7, #1 /* Thumb */
    movs r0, #0
    movs r1, #0
    movs r2, #0
    movs r3, #0
    movs r4, #0
    movs r5, #0
    bx r7
    .balign 4
1:
    .rept LE_DSP_STEPS
    step
    .endr
2:
    .if 2b - 1b != LE_DSP_STEPS * LE_DSP_STEP_BYTES
    .error "the code of a step is not STEP_BYTES long"
    .endif
    cmp r11, lr
    bne 1b
    .if \is_wide
    ldmia sp, {r6-r9}
    fold r0, r1, r7
    fold r2, r3, r8
    fold r4, r5, r9
    add lr, lr, #LE_DSP_FOLD_BYTES
    stmia sp, {r6-r9}
    cmp r11, r6
    bne 1b
    mov r0, r7
    mov r2, r8
    mov r4, r9
    add sp, sp, #16
    .endif
    ldr lr, [sp]
    two_outputs_\rounding r0, r1
    two_outputs_\rounding r2, r3
    two_outputs_\rounding r4, r5
    mov r0, r12
    pop {r3-r11, pc}
    .size \name, . - \name
    .endm

    matrix le_matrix_dsp_s8, tie_free
    matrix le_matrix_double_dsp_s8, double
    matrix le_matrix_wide_dsp_s8, tie_free_wide, 1
    matrix le_matrix_wide_double_dsp_s8, double_wide, 1

#endif
