/* All channels of one position of a depthwise convolution: the products of a channel one by one, since nothing is shared.
 * They are signed, so that no sum of inputs is needed: MULS leaves the sign of a product in the carry. The weights of a
 * channel are read from flash one behind the other, then what its requantisation takes.
 *
 * Registers:
 *   r0, r1 product     r2-r4 accumulator     r6, r7 from a tap to the next     r8, r9 from the end of a row to the next row
 *   r20, r21 rows, taps to do     r22-r24 input, weight, sign     X input     Y le_position_avr     RAMPZ:Z table
 *
 * Cycles: 16 for a tap, 8 for a row, about 140 for an output on the tie-free grid, 200 with TFLM's requantisation.
 */
#include "le_avr_macros.h"

/* Offsets in le_position_avr. */
INPUT = 0
OUTPUT = 2
TABLE = 4
CHANNELS = 7
TAP = 9
ROW = 11
HEIGHT = 13
WIDTH = 14

/* A pair of registers from the structure, or back into it. */
.macro LE_LOAD_PAIR low, high, offset
    ldd \low, Y+\offset
    ldd \high, Y+\offset+1
.endm

.macro LE_STORE_PAIR low, high, offset
    std Y+\offset, \low
    std Y+\offset+1, \high
.endm

/* void name(le_position_avr *position); load, requantize: of le_avr_macros.h, on the tie-free grid or as TFLM does. */
.macro LE_DEPTHWISE name, load=LE_LOAD_OUTPUT, requantize=LE_REQUANTIZE
    .section .text.\name, "ax", @progbits
    .global \name
    .type \name, @function
\name:
    LE_SAVE
    movw r28, r24
    LE_LOAD_PAIR r6, r7, TAP
    LE_LOAD_PAIR r8, r9, ROW
    LE_LOAD_PAIR r30, r31, TABLE
    ldd r24, Y+TABLE+2
    LE_FLASH_AT r24

.Lchannel_\name:
    LE_LOAD_PAIR r26, r27, INPUT
    clr r2
    clr r3
    clr r4
    ldd r20, Y+HEIGHT
.Lrow_\name:
    ldd r21, Y+WIDTH
.Ltap_\name:
    ld r22, X
    LE_FLASH r23
    muls r22, r23
    sbc r24, r24
    add r2, r0
    adc r3, r1
    adc r4, r24
    add r26, r6
    adc r27, r7
    dec r21
    brne .Ltap_\name
    add r26, r8
    adc r27, r9
    dec r20
    brne .Lrow_\name

    \load
    \requantize
    LE_LOAD_PAIR r26, r27, OUTPUT
    st X+, r5
    LE_STORE_PAIR r26, r27, OUTPUT
    LE_LOAD_PAIR r26, r27, INPUT
    adiw r26, 1
    LE_STORE_PAIR r26, r27, INPUT
    LE_LOAD_PAIR r26, r27, CHANNELS
    sbiw r26, 1
    LE_STORE_PAIR r26, r27, CHANNELS
    breq .Ldone_\name
    rjmp .Lchannel_\name
.Ldone_\name:
    LE_RESTORE
    ret
    .size \name, . - \name
.endm
