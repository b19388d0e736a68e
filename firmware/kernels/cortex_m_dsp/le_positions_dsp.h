/* A matrix times the inputs of several positions, two output channels at a time.
 *
 * As in le_matrix_dsp.S two weights are in a halfword h = 256 b + a, so that a byte of flash is a weight: the sum S of h x
 * and the sum A of a x give B = (S - A) / 256. A word of weights serves all positions of the block: three, or the four of
 * a pooling window, of which only the largest sums are requantised. families/dsp_positions.py proves for every layer that
 * no sum overflows, and why each requantisation is exact.
 *
 * Table, for each pair of channels: where S and A begin, which has the biases in it; for each pair of inputs in pairs
 * order a word; then what `finish` of the requantisation reads.
 * Strip: for each pair of inputs a word of each position.
 *
 * This header has what le_positions_3_dsp.S and le_positions_4_dsp.S share; in both r11 is x and r12 the table.
 */
#ifndef LE_POSITIONS_DSP_H
#define LE_POSITIONS_DSP_H

#include "le_dsp.h"
#include "le_requantize_dsp.h"

    .syntax unified
    .thumb

    .set output_end, 0 /* on the stack, in the order of le_dsp_block, the entry instead of what is left out */
    .set output_at, 8
    .set x_start, 12
    .set entry, 16
    .set x_end, 20
    .set frame_bytes, 24

/* --- requantisation ------------------------------------------------------------------------------
 *
 * `a_of` makes the output of channel a from A, `b_of` that of channel b from 256 B; `factors` loads what they need for
 * the one that comes next. The double one loses r9. */

/* 256 B gives eight bits behind the point, which the saturation drops. */
    .macro factors_tie_free
    ldr r6, [r12], #4
    .endm

    .macro a_of_tie_free sum
    to_int8_tie_free \sum, r6
    .endm

    .macro b_of_tie_free sum
    smmul \sum, \sum, r6
    ssat \sum, #8, \sum, asr #8
    .endm

/* TFLM's rounding. */
    .macro factors_double
    ldmia r12!, {r6-r8} /* multiplier, addend, shift */
    .endm

    .macro a_of_double sum
    lsl \sum, \sum, #1
    to_int8_double \sum, r6, r7, r8, r9
    .endm

    .macro b_of_double sum
    asr \sum, \sum, #7
    to_int8_double \sum, r6, r7, r8, r9
    .endm

/* TFLM's rounding where all below the zero point is clamped to it: whether a product is negative is of no consequence. */
    .macro factors_above
    ldmia r12!, {r6-r8}
    .endm

    .macro a_of_above sum /* shifted to the left, so that all channels have LE_DSP_POINT bits behind the point */
    lsl \sum, \sum, r8
    smmla \sum, \sum, r6, r7
    ssat \sum, #8, \sum, asr #LE_DSP_POINT
    .endm

    .macro b_of_above sum /* 256 B gives seven bits behind the point, and SMMLA need not round */
    smmla \sum, \sum, r6, r7
    asr \sum, \sum, r8
    ssat \sum, #8, \sum
    .endm

/* --- blocks -------------------------------------------------------------------------------------- */

/* r0 le_dsp_block */
    .macro block positions, rounding, step_bytes
    .section .text.le_positions_\positions\()_\rounding\()_dsp_s8, "ax", %progbits
    .global le_positions_\positions\()_\rounding\()_dsp_s8
    .type le_positions_\positions\()_\rounding\()_dsp_s8, %function
    .balign 4
    .thumb_func
le_positions_\positions\()_\rounding\()_dsp_s8:
    push {r4-r11, lr}
    ldmia r0, {r1-r6, r12}
    adr r7, 1f
    adds r7, r7, #1 /* Thumb */
    add r5, r5, r7
    push {r1-r6}
    mov lr, r6
3:
    ldr r11, [sp, #x_start]
    first_step_\positions
    ldr pc, [sp, #entry]
    .balign 4
1:
    .rept LE_DSP_BLOCK_STEPS
    step_\positions
    .endr
2:
    .if 2b - 1b != LE_DSP_BLOCK_STEPS * \step_bytes
    .error "the code of a step is not STEP_BYTES long"
    .endif
    end_of_\positions
    bne 1b
    finish_\positions \rounding
    str r11, [sp, #output_at]
    .ifnc \positions\rounding, 3tie_free
    .ifnc \positions\rounding, 3above
    ldr r9, [sp, #output_end]
    .endif
    .endif
    cmp r11, r9
    bne 3b
    add sp, sp, #frame_bytes
    pop {r4-r11, pc}
    .size le_positions_\positions\()_\rounding\()_dsp_s8, . - le_positions_\positions\()_\rounding\()_dsp_s8
    .endm

/* --- strips --------------------------------------------------------------------------------------
 *
 * le_widen_3_dsp_s8 and so on: r0 where the bytes of each position are, r1 steps, r2 strip; returns what follows in it.
 * le_widen_rows_3_dsp_s8: of a row; r3 rows, [sp] bytes from behind a row to the next one. */

    .macro widen positions, which=_
    .section .text.le_widen\which\()\positions\()_dsp_s8, "ax", %progbits
    .global le_widen\which\()\positions\()_dsp_s8
    .type le_widen\which\()\positions\()_dsp_s8, %function
    .balign 4
    .thumb_func
le_widen\which\()\positions\()_dsp_s8:
    push {r1, r3-r11, lr}
    mov r11, r2
    mov lr, r1
    .if \positions == 3
    ldmia r0, {r8-r10}
    .else
    ldmia r0, {r8-r10, r12}
    .endif
1:
    ldr r4, [r8], #4
    ldr r5, [r9], #4
    ldr r6, [r10], #4
    sxtb16 r0, r4
    sxtb16 r1, r5
    sxtb16 r2, r6
    .if \positions == 4
    ldr r7, [r12], #4
    sxtb16 r3, r7
    sxtb16 r7, r7, ror #8
    .endif
    sxtb16 r4, r4, ror #8
    sxtb16 r5, r5, ror #8
    sxtb16 r6, r6, ror #8
    .if \positions == 3
    stmia r11!, {r0-r2, r4-r6}
    .else
    stmia r11!, {r0-r7}
    .endif
    subs lr, lr, #1
    bne 1b
    .ifc \which, _rows_
    ldrd lr, r0, [sp]
    subs r0, r0, #1
    beq 2f
    str r0, [sp, #4]
    ldr r1, [sp, #44]
    add r8, r8, r1
    add r9, r9, r1
    add r10, r10, r1
    .if \positions == 4
    add r12, r12, r1
    .endif
    b 1b
2:
    .endif
    mov r0, r11
    pop {r1, r3-r11, pc}
    .size le_widen\which\()\positions\()_dsp_s8, . - le_widen\which\()\positions\()_dsp_s8
    .endm

#endif
