/* A small matrix times a vector, two outputs at a time, eight inputs at a time.
 *
 * Weights are int16, multiplied as those of le_few_inputs_dsp.S are: a byte more of flash for each, for 0.81 instructions per
 * MAC, 12 for the requantisation of two outputs and 8 for the loop around them.
 *
 * Table, for each pair of outputs a, b: both biases; for each eight inputs four words of a, four of b; multiplier and addend
 * of a, with "double" shift, then those of b.
 *
 * Registers: r0-r3 x, r4-r7 weights, r8, r9 sums, r10 x, r11 its end, r12 table, lr output.
 */
#ifdef __ARM_FEATURE_DSP /* elsewhere le_dsp.h says what is wrong */
#include "le_dsp.h"
#include "le_requantize_dsp.h"

    .syntax unified
    .thumb

    .macro four_words sum
    ldmia r12!, {r4-r7}
    smlad \sum, r0, r4, \sum
    smlad \sum, r1, r5, \sum
    smlad \sum, r2, r6, \sum
    smlad \sum, r3, r7, \sum
    .endm

/* r0 le_dsp_small, r1 input, r2 scratch, r3 output */
    .macro small rounding
    .section .text.le_small_matrix_\rounding\()_dsp_s8, "ax", %progbits
    .global le_small_matrix_\rounding\()_dsp_s8
    .type le_small_matrix_\rounding\()_dsp_s8, %function
    .balign 4
    .thumb_func
le_small_matrix_\rounding\()_dsp_s8:
    push {r4-r11, lr}
    mov lr, r3
    ldmia r0, {r4, r5, r12}
    push {r2, r5} /* x, the end of the table */
    add r4, r4, r1
    mov r11, r2
1:
    ldr r8, [r1], #4
    ldr r10, [r1], #4
    sxtb16 r7, r8
    sxtb16 r8, r8, ror #8
    sxtb16 r9, r10
    sxtb16 r10, r10, ror #8
    stmia r11!, {r7-r10}
    cmp r1, r4
    bne 1b
2:
    ldr r10, [sp]
    ldrd r8, r9, [r12], #8
3:
    ldmia r10!, {r0-r3}
    four_words r8
    four_words r9
    cmp r10, r11
    bne 3b
    .ifc \rounding, double
    ldmia r12!, {r0-r5}
    store double, r8, r0, r1, r2
    store double, r9, r3, r4, r5
    .else
    ldmia r12!, {r0-r3}
    store point, r8, r0, r1
    store point, r9, r2, r3
    .endif
    ldr r0, [sp, #4]
    cmp r12, r0
    bne 2b
    add sp, sp, #8
    pop {r4-r11, pc}
    .size le_small_matrix_\rounding\()_dsp_s8, . - le_small_matrix_\rounding\()_dsp_s8
    .endm

    small point
    small double

#endif
