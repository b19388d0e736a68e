/* The four positions of a pooling window, of which the largest sums are requantised, as le_positions_dsp.h says.
 *
 * Registers: r0-r7 S and A of each position; r8, r9 x; r10, lr weights; r11 x, r12 table.
 * A step is four inputs: 32 MACs in 24 instructions (0.75 per MAC).
 */
#ifdef __ARM_FEATURE_DSP /* elsewhere le_dsp.h says what is wrong */
#include "le_positions_dsp.h"

    .macro two_more s0, a0, s1, a1
    smlad \s0, r8, r10, \s0
    smlad \s1, r9, r10, \s1
    smlad \a0, r8, lr, \a0
    smlad \a1, r9, lr, \a1
    .endm

    .macro four_more
    ldr r10, [r12], #4
    ldrd r8, r9, [r11], #8
    sxtb16 lr, r10
    two_more r0, r1, r2, r3
    ldrd r8, r9, [r11], #8
    two_more r4, r5, r6, r7
    .endm

    .macro first_step_4
    ldmia r12!, {r0, r1, r10}
    ldrd r8, r9, [r11, #8]
    sxtb16 lr, r10
    smlad r4, r8, r10, r0
    smlad r6, r9, r10, r0
    smlad r5, r8, lr, r1
    smlad r7, r9, lr, r1
    ldrd r8, r9, [r11], #16
    smlad r2, r9, r10, r0
    smlad r3, r9, lr, r1
    smlad r0, r8, r10, r0
    smlad r1, r8, lr, r1
    four_more
    .endm

    .macro step_4
    four_more
    four_more
    .endm

    .macro maximum of, with
    cmp \of, \with
    it lt
    movlt \of, \with
    .endm

    .macro finish_4 rounding
    sub r0, r0, r1
    sub r2, r2, r3
    sub r4, r4, r5
    sub r6, r6, r7
    maximum r1, r3
    maximum r5, r7
    maximum r1, r5
    maximum r0, r2
    maximum r4, r6
    maximum r0, r4
    ldr r11, [sp, #output_at]
    factors_\rounding
    a_of_\rounding r1
    strb r1, [r11], #1
    factors_\rounding
    b_of_\rounding r0
    strb r0, [r11], #1
    .endm

    .macro end_of_4
    ldr r8, [sp, #x_end]
    cmp r11, r8
    .endm

    block 4, tie_free, LE_DSP_STEP_4_BYTES
    block 4, above, LE_DSP_STEP_4_BYTES
    block 4, double, LE_DSP_STEP_4_BYTES

    widen 4

#endif
