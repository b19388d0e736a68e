/* All channels of one position of a depthwise convolution: the products of a channel one by one, since nothing is shared.
 * They are signed, so that no sum of inputs is needed: MULS leaves the sign of a product in the carry. The weights of a
 * channel are read from flash one behind the other, then what its requantisation takes.
 *
 * Registers:
 *   r0, r1 product     r2-r4 accumulator     r6, r7 from a tap to the next     r8, r9 from the end of a row to the next row
 *   r20, r21 rows, taps to do     r22-r24 input, weight, sign     X input     Y le_position_avr     RAMPZ:Z table
 * With a pooling, position by position, the largest sum is kept; sums are as monotone as outputs:
 *   r10-r12 the largest so far    r13, r5 rows of positions, positions to do    r14, r15 and r16, r17 where the position
 *   and its row of positions begin    r25:r19:r18 the channel's weights
 *
 * Cycles: 16 for a tap, 8 for a row, about 140 for an output on the tie-free grid, 200 with TFLM's requantisation; with a
 * pooling 26 for a position.
 */
#include "le_avr_macros.h"

/* Offsets in le_position_avr. */
INPUT = 0
OUTPUT = 2
TABLE = 4
CHANNELS = 7
TAP = 9
ROW = 11
ACROSS = 13
DOWN = 15
HEIGHT = 17
WIDTH = 18
POOL_HEIGHT = 19
POOL_WIDTH = 20

/* A pair of registers from the structure, or back into it. */
.macro LE_LOAD_PAIR low, high, offset
    ldd \low, Y+\offset
    ldd \high, Y+\offset+1
.endm

.macro LE_STORE_PAIR low, high, offset
    std Y+\offset, \low
    std Y+\offset+1, \high
.endm

/* X moves by what the structure has. */
.macro LE_MOVE_BY offset
    LE_LOAD_PAIR r20, r21, \offset
    add r26, r20
    adc r27, r21
.endm

/* The start of the function. */
.macro LE_DEPTHWISE_BEGIN name
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
.endm

/* The output in r5 goes where it belongs; then the next channel, or the end. */
.macro LE_DEPTHWISE_END name
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

/* void name(le_position_avr *position); load, requantize: of le_avr_macros.h, on the tie-free grid or as TFLM does.
 * pooled: 1 where the output is the largest of the positions of a pooling window. */
.macro LE_DEPTHWISE name, load=LE_LOAD_OUTPUT, requantize=LE_REQUANTIZE, pooled=0
    LE_DEPTHWISE_BEGIN \name

.Lchannel_\name:
    LE_LOAD_PAIR r26, r27, INPUT
    .if \pooled
    movw r18, r30
    LE_FLASH_FROM r25
    clr r10
    clr r11
    ldi r20, 0x80
    mov r12, r20     /* -2^23 */
    ldd r13, Y+POOL_HEIGHT
.Lpositions_\name:
    movw r16, r26
    ldd r5, Y+POOL_WIDTH
.Lposition_\name:
    movw r14, r26
    movw r30, r18
    LE_FLASH_AT r25
    .endif
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

    .if \pooled
    LE_LARGER 10
    movw r10, r2
    mov r12, r4
    movw r26, r14
    LE_MOVE_BY ACROSS
    dec r5
    brne .Lposition_\name
    movw r26, r16
    LE_MOVE_BY DOWN
    dec r13
    brne .Lpositions_\name
    .endif

    \load
    \requantize
    LE_DEPTHWISE_END \name
.endm
