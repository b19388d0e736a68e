/* Depthwise 3 x 3 of stride 1, pooled by 2 x 2: the four positions of a window at once, so that each weight is read once,
 * and each input, of which positions share most. The patch of 4 x 4 inputs goes by rows: two neighbouring ones are in
 * registers; the upper one is replaced by the next when its three weights are done.
 *
 * Registers:
 *   r0, r1 product       r2-r13 accumulators: (0, 0), (0, 1), (1, 0), (1, 1)     r14, r15 from an input to the next
 *   r16-r19, r20-r23     two rows of the patch             r24, r25 weight, sign
 *   X input              Y le_position_avr                 RAMPZ:Z table
 *
 * Cycles for a channel: 9 * (3 + 4 * 6) for 36 MACs, 4 * 22 for the inputs, about 190 for the output on the tie-free grid and
 * 240 with TFLM's requantisation: 14.5 and 16 per MAC.
 */
#include "le_depthwise_macros_avr.h"

/* accumulator += weight * input. */
.macro LE_SIGNED_PRODUCT accumulator, input
    muls r24, \input
    sbc r25, r25
    add \accumulator, r0
    adc \accumulator + 1, r1
    adc \accumulator + 2, r25
.endm

/* The next row of the patch; ROW is what is left from its fourth input to the next row. */
.macro LE_PATCH_ROW first
    .set index, \first
    .rept 3
    ld index, X
    add r26, r14
    adc r27, r15
    .set index, index + 1
    .endr
    ld index, X
    LE_LOAD_PAIR r24, r25, ROW
    add r26, r24
    adc r27, r25
.endm

/* A row of the kernel, with the patch's rows from registers `upper` and `lower` on. */
.macro LE_WEIGHTS_OF_ROW upper, lower
    .set column, 0
    .rept 3
    LE_FLASH r24
    LE_SIGNED_PRODUCT 2, \upper + column
    LE_SIGNED_PRODUCT 5, \upper + column + 1
    LE_SIGNED_PRODUCT 8, \lower + column
    LE_SIGNED_PRODUCT 11, \lower + column + 1
    .set column, column + 1
    .endr
.endm

/* void name(le_position_avr *position); load, requantize: as of LE_DEPTHWISE. */
.macro LE_DEPTHWISE_3_POOLED name, load=LE_LOAD_OUTPUT, requantize=LE_REQUANTIZE
    LE_DEPTHWISE_BEGIN \name

.Lchannel_\name:
    LE_LOAD_PAIR r14, r15, TAP
    LE_LOAD_PAIR r26, r27, INPUT
    .set index, 2
    .rept 12
    clr index
    .set index, index + 1
    .endr
    LE_PATCH_ROW 16
    LE_PATCH_ROW 20
    LE_WEIGHTS_OF_ROW 16, 20
    LE_PATCH_ROW 16
    LE_WEIGHTS_OF_ROW 20, 16
    LE_PATCH_ROW 20
    LE_WEIGHTS_OF_ROW 16, 20
    LE_LARGER 5
    LE_LARGER 8
    LE_LARGER 11

    \load
    \requantize
    LE_DEPTHWISE_END \name
.endm
