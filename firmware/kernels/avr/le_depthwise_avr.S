/* All channels of one position of a depthwise convolution: the products of a channel one by one, since nothing is shared.
 * They are signed, so that no sum of inputs is needed: MULS leaves the sign of a product in the carry.
 *
 * Registers:
 *   r0, r1 product     r2-r4 accumulator     r6, r7 from a tap to the next     r8, r9 from the end of a row to the next row
 *   r10, r11 the window's height, width      r12, r13 rows, taps to do         r16-r18 input, weight, sign
 *   X input     Y le_position_avr     Z weights, RAMPZ:Z table
 *
 * Cycles: 17 for a tap, 8 for a row, about 150 for an output.
 */
#include "le_avr_macros.h"

/* Offsets in le_position_avr. */
INPUT = 0
WEIGHTS = 2
OUTPUT = 4
TABLE = 6
CHANNELS = 9
TAP = 11
ROW = 13
HEIGHT = 15
WIDTH = 16

/* A pair of registers from the structure, or back into it. */
.macro LE_LOAD_PAIR low, high, offset
    ldd \low, Y+\offset
    ldd \high, Y+\offset+1
.endm

.macro LE_STORE_PAIR low, high, offset
    std Y+\offset, \low
    std Y+\offset+1, \high
.endm

    .section .text.le_depthwise_avr_s8, "ax", @progbits
    .global le_depthwise_avr_s8
    .type le_depthwise_avr_s8, @function

/* void le_depthwise_avr_s8(le_position_avr *position) */
le_depthwise_avr_s8:
    LE_SAVE
    movw r28, r24
    LE_LOAD_PAIR r6, r7, TAP
    LE_LOAD_PAIR r8, r9, ROW
    LE_LOAD_PAIR r10, r11, HEIGHT

.Lchannel:
    LE_LOAD_PAIR r26, r27, INPUT
    LE_LOAD_PAIR r30, r31, WEIGHTS
    clr r2
    clr r3
    clr r4
    mov r12, r10
.Lrow:
    mov r13, r11
.Ltap:
    ld r16, X
    ld r17, Z
    muls r16, r17
    sbc r18, r18
    add r2, r0
    adc r3, r1
    adc r4, r18
    add r26, r6
    adc r27, r7
    add r30, r6
    adc r31, r7
    dec r13
    brne .Ltap
    add r26, r8
    adc r27, r9
    dec r12
    brne .Lrow

    LE_LOAD_PAIR r30, r31, TABLE
    ldd r24, Y+TABLE+2
    LE_FLASH_AT r24
    LE_LOAD_OUTPUT
    LE_STORE_PAIR r30, r31, TABLE
    LE_FLASH_FROM r24
    std Y+TABLE+2, r24
    LE_REQUANTIZE
    LE_LOAD_PAIR r26, r27, OUTPUT
    st X+, r5
    LE_STORE_PAIR r26, r27, OUTPUT
    LE_LOAD_PAIR r26, r27, INPUT
    adiw r26, 1
    LE_STORE_PAIR r26, r27, INPUT
    LE_LOAD_PAIR r26, r27, WEIGHTS
    adiw r26, 1
    LE_STORE_PAIR r26, r27, WEIGHTS
    LE_LOAD_PAIR r26, r27, CHANNELS
    sbiw r26, 1
    LE_STORE_PAIR r26, r27, CHANNELS
    breq .Ldone
    rjmp .Lchannel
.Ldone:
    LE_RESTORE
    ret
    .size le_depthwise_avr_s8, .-le_depthwise_avr_s8
