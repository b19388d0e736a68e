/* Outputs that see 4, 8, 12 or 16 inputs, or the nine of a 3 x 3 window: those of a position stay in registers while all
 * channels pass, one after the other.
 *
 * Weights are int16, two in a word, so that all that a channel takes comes with one load, or two; of 16 inputs with four.
 * Their second byte is used: they are multiplied by a power of two of the channel, which "point" of le_requantize_dsp.h
 * needs. families/dsp_few.py has the powers, and proves that no sum overflows.
 *
 * Table, for each channel: bias, the words of weights, multiplier, addend, with "double" shift.
 *
 * Registers: r0 to r7 the words of inputs, as many as there are; then the sum and what is loaded; r12 table, lr output.
 * An output of 4 inputs takes 6 instructions, of 8 inputs 8, of 9 or 12 inputs 10 or 11, of 16 inputs 15, with the double
 * rounding 2 more; and a half to three quarters of one for the loop. A position takes 10 to 19 more.
 */
#ifdef __ARM_FEATURE_DSP /* elsewhere le_dsp.h says what is wrong */
#include "le_dsp.h"
#include "le_requantize_dsp.h"

    .syntax unified
    .thumb

    .set x, 0 /* on the stack */
    .set x_end, 4
    .set table_end, 8
    .set table, 12
    .set entry, 16
    .set pitch, 20
    .set few_frame_bytes, 20
    .set nine_frame_bytes, 28

/* --- a channel, by words of inputs --------------------------------------------------------------- */

    .macro load_factors rounding, multiplier, addend, shift
    .ifc \rounding, double
    ldmia r12!, {\multiplier, \addend, \shift}
    .else
    ldmia r12!, {\multiplier, \addend}
    .endif
    .endm

    .macro channel_2 rounding
    .ifc \rounding, double
    ldmia r12!, {r4-r9}
    .else
    ldmia r12!, {r4-r8}
    .endif
    smlad r4, r0, r5, r4
    smlad r4, r1, r6, r4
    store \rounding, r4, r7, r8, r9
    .endm

    .macro channel_4 rounding
    .ifc \rounding, double
    ldmia r12!, {r4-r11}
    .else
    ldmia r12!, {r4-r10}
    .endif
    smlad r4, r0, r5, r4
    smlad r4, r1, r6, r4
    smlad r4, r2, r7, r4
    smlad r4, r3, r8, r4
    store \rounding, r4, r9, r10, r11
    .endm

    .macro channel_5 rounding
    ldmia r12!, {r5-r10}
    smlad r5, r0, r6, r5
    smlad r5, r1, r7, r5
    smlad r5, r2, r8, r5
    smlad r5, r3, r9, r5
    smlad r5, r4, r10, r5
    load_factors \rounding, r6, r7, r8
    store \rounding, r5, r6, r7, r8
    .endm

    .macro channel_6 rounding
    ldmia r12!, {r6-r11}
    smlad r6, r0, r7, r6
    smlad r6, r1, r8, r6
    smlad r6, r2, r9, r6
    smlad r6, r3, r10, r6
    smlad r6, r4, r11, r6
    .ifc \rounding, double
    ldmia r12!, {r7-r10}
    .else
    ldmia r12!, {r7-r9}
    .endif
    smlad r6, r5, r7, r6
    store \rounding, r6, r8, r9, r10
    .endm

    .macro channel_8 rounding
    ldmia r12!, {r8-r11}
    smlad r8, r0, r9, r8
    smlad r8, r1, r10, r8
    smlad r8, r2, r11, r8
    ldmia r12!, {r9-r11}
    smlad r8, r3, r9, r8
    smlad r8, r4, r10, r8
    smlad r8, r5, r11, r8
    ldrd r9, r10, [r12], #8
    smlad r8, r6, r9, r8
    smlad r8, r7, r10, r8
    load_factors \rounding, r9, r10, r11
    store \rounding, r8, r9, r10, r11
    .endm

/* --- a position ---------------------------------------------------------------------------------- */

    .macro pair even, odd /* four bytes, in the second */
    sxtb16 \even, \odd
    sxtb16 \odd, \odd, ror #8
    .endm

    .macro position_of words
    ldr r8, [sp, #x]
    ldr r1, [r8], #4
    .if \words > 2
    ldr r3, [r8], #4
    .endif
    .if \words > 4
    ldr r5, [r8], #4
    .endif
    .if \words > 6
    ldr r7, [r8], #4
    .endif
    str r8, [sp, #x]
    pair r0, r1
    .if \words > 2
    pair r2, r3
    .endif
    .if \words > 4
    pair r4, r5
    .endif
    .if \words > 6
    pair r6, r7
    .endif
    ldr r12, [sp, #table]
    .endm

/* Rows a, b, c of a window, of each four bytes: (a0, a2), (b0, b2), (c0, c2), (a1, b1), (c1, c3). */
    .macro position_of_nine
    ldrd r6, r7, [sp, #pitch] /* and the step */
    ldr r8, [sp, #x]
    ldr r2, [r8, r6, lsl #1]
    ldr r1, [r8, r6]
    ldr r0, [r8]
    add r8, r8, r7
    str r8, [sp, #x]
    sxtb16 r3, r0, ror #8
    sxtb16 r5, r1, ror #8
    sxtb16 r4, r2, ror #8
    sxtb16 r0, r0
    sxtb16 r1, r1
    sxtb16 r2, r2
    pkhbt r3, r3, r5, lsl #16
    ldrd r11, r12, [sp, #table_end]
    .endm

/* --- functions ----------------------------------------------------------------------------------- */

/* All positions, all channels of each. It stands in front of the function's name, so that its size is known there. */
    .macro body name, words, rounding, frame_bytes
    .section .text.\name, "ax", %progbits
    .balign 4
3:
    .if \words == 5
    position_of_nine
    .else
    position_of \words
    .endif
    ldr pc, [sp, #entry]
    .balign 4
1:
    .rept LE_DSP_FEW_CHANNELS
    channel_\words \rounding
    .endr
2:
    .set channel_bytes, (2b - 1b) / LE_DSP_FEW_CHANNELS
    .if \words == 5 /* which leave r11 */
    cmp r12, r11
    .else
    ldr r10, [sp, #table_end]
    cmp r12, r10
    .endif
    bne 1b
    ldrd r10, r11, [sp, #x]
    cmp r10, r11
    bne 3b
    add sp, sp, #\frame_bytes
    mov r0, lr
    pop {r4-r11, pc}
    .global \name
    .type \name, %function
    .thumb_func
\name:
    push {r4-r11, lr}
    .endm

    .macro enter skipped /* channels to leave out the first time -> where the code is entered */
    adr r9, 1b
    mov r10, #channel_bytes
    mla \skipped, \skipped, r10, r9
    adds \skipped, \skipped, #1 /* Thumb */
    .endm

/* r0 le_dsp_few, r1 input, r3 output */
    .macro few inputs, words, rounding
    body le_few_\inputs\()_\rounding\()_dsp_s8, \words, \rounding, few_frame_bytes
    mov lr, r3
    ldmia r0, {r2-r5}
    add r2, r2, r1
    enter r5
    push {r1-r5}
    b 3b
    .size le_few_\inputs\()_\rounding\()_dsp_s8, . - le_few_\inputs\()_\rounding\()_dsp_s8
    .endm

/* r0 le_dsp_nine_row; returns the output behind it. */
    .macro nine rounding
    body le_nine_\rounding\()_dsp_s8, 5, \rounding, nine_frame_bytes
    ldmia r0, {r1-r7, lr}
    enter r5
    push {r1-r7}
    b 3b
    .size le_nine_\rounding\()_dsp_s8, . - le_nine_\rounding\()_dsp_s8
    .endm

    few 4, 2, point
    few 4, 2, double
    few 8, 4, point
    few 8, 4, double
    few 12, 6, point
    few 12, 6, double
    few 16, 8, point
    few 16, 8, double
    nine point
    nine double

#endif
