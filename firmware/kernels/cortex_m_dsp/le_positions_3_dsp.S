/* Three positions, as le_positions_dsp.h says.
 *
 * Registers: r0-r5 S and A of each position; r6-r8 x; r9, r10 weights; r11 x, r12 table, lr end of x.
 * A step is four inputs: 24 MACs in 17 instructions (0.708 per MAC).
 */
#ifdef __ARM_FEATURE_DSP /* elsewhere le_dsp.h says what is wrong */
#include "le_positions_dsp.h"

    .macro three_first h /* r0 and r1 are what all sums begin with */
    smlad r4, r8, \h, r0
    smlad r2, r7, \h, r0
    smlad r0, r6, \h, r0
    sxtb16 \h, \h
    smlad r5, r8, \h, r1
    smlad r3, r7, \h, r1
    smlad r1, r6, \h, r1
    .endm

    .macro three_more h
    smlad r0, r6, \h, r0
    smlad r2, r7, \h, r2
    smlad r4, r8, \h, r4
    sxtb16 \h, \h
    smlad r1, r6, \h, r1
    smlad r3, r7, \h, r3
    smlad r5, r8, \h, r5
    .endm

    .macro first_step_3
    ldmia r12!, {r0, r1, r9, r10}
    ldmia r11!, {r6-r8}
    three_first r9
    ldmia r11!, {r6-r8}
    three_more r10
    .endm

    .macro step_3
    ldrd r9, r10, [r12], #8
    ldmia r11!, {r6-r8}
    three_more r9
    ldmia r11!, {r6-r8}
    three_more r10
    .endm

    .macro finish_3 rounding
    sub r0, r0, r1
    sub r2, r2, r3
    sub r4, r4, r5
    ldmia sp, {r9-r11} /* end, stride, output */
    factors_\rounding
    a_of_\rounding r3
    strb r3, [r11, r10]
    a_of_\rounding r5
    strb r5, [r11, r10, lsl #1]
    a_of_\rounding r1
    strb r1, [r11], #1
    factors_\rounding
    b_of_\rounding r2
    strb r2, [r11, r10]
    b_of_\rounding r4
    strb r4, [r11, r10, lsl #1]
    b_of_\rounding r0
    strb r0, [r11], #1
    .endm

    .macro end_of_3
    cmp r11, lr
    .endm

    block 3, tie_free, LE_DSP_STEP_3_BYTES
    block 3, above, LE_DSP_STEP_3_BYTES
    block 3, double, LE_DSP_STEP_3_BYTES

    widen 3
    widen 3, _rows_

#endif
