/* Matrix times vector: six outputs at a time, so that an input is loaded once for six products; a weight is used once.
 *
 * Registers:
 *   r0, r1 product     r2-r19 accumulators, 24 bits each     r20 input     r21 weight     r22 zero     r23 two weights
 *   r24, r25 inputs to do / 4     X output     Y input     RAMPZ:Z table
 *
 * Cycles for four inputs: 4 * (2 + 6 * (3 + 5)) + 4 = 204 for 24 MACs, 8.5 per MAC; of four bits
 * 4 * (2 + 3 * (3 + 7 + 7)) + 4 = 216, 9 per MAC. In addition for each output about 115.
 *
 * Weights of -1, 0 and 1: a byte has those of one output for the next four or five inputs, which are added or subtracted.
 * Registers then: r0 what is left of the byte, r1 a digit, r20-r24 inputs, r25 zero, r26 three, r27 passes to do. Cycles:
 * 8 or 9 for a weight that is not 0, 3 for a 0, or 6 with five in a byte; in addition 30 for 24 weights, 32 for 30.
 */
#include "le_avr_macros.h"

#define OUTPUTS 6

/* Inputs of a pass, one for each weight in a byte. */
IN_BYTE_OF_2 = 4
IN_BYTE_OF_0 = 5

/* Offsets in le_vector_avr. */
START = 0
INPUT = 3
OUTPUT = 5
PASSES = 7
COUNT = 9
TABLE = 11

/* accumulator += r20 * r21. */
.macro LE_WEIGHTED accumulator
    mul r20, r21
    add \accumulator, r0
    adc \accumulator + 1, r1
    adc \accumulator + 2, r22
.endm

/* accumulator += its weight * each of the inputs of a pass; in_byte: 4 or 5. As LE_TERNARY of le_tile_macros_avr.h has them. */
.macro LE_TERNARY_WEIGHTS accumulator, in_byte
    LE_FLASH r0
    .set place, 0
    .rept \in_byte
    LE_TERNARY_WEIGHT \accumulator, 20 + place, \in_byte
    .set place, place + 1
    .endr
.endm

.macro LE_TERNARY_WEIGHT accumulator, input, in_byte
    .if \in_byte == 4
    sbrs r0, place * 2
    rjmp .Lweight_done_\@
    sbrs r0, place * 2 + 1
    rjmp .Lweight_plus_\@
    .else
    mul r0, r26
    lsr r1
    brcs .Lweight_plus_\@
    breq .Lweight_done_\@
    .endif
    sub \accumulator, \input
    sbc \accumulator + 1, r25
    sbc \accumulator + 2, r25
    rjmp .Lweight_done_\@
.Lweight_plus_\@:
    add \accumulator, \input
    adc \accumulator + 1, r25
    adc \accumulator + 2, r25
.Lweight_done_\@:
.endm

/* void name(le_vector_avr *vector); the weights have 8, 4 or 2 bits, or are trits: 0. Below 8 the sums are doubled.
 * load, requantize: of le_avr_macros.h, on the tie-free grid or as TFLM does. */
.macro LE_MATRIX name, bits, load=LE_LOAD_OUTPUT, requantize=LE_REQUANTIZE
    .section .text.\name, "ax", @progbits
    .global \name
    .type \name, @function
\name:
    LE_SAVE
    movw r28, r24
    ldd r30, Y+TABLE
    ldd r31, Y+TABLE+1
    ldd r20, Y+TABLE+2
    LE_FLASH_AT r20
    ldd r26, Y+OUTPUT
    ldd r27, Y+OUTPUT+1

.Lgroup_\name:
    .set index, 2
    .rept OUTPUTS
    ldd index, Y+START
    ldd index + 1, Y+START+1
    ldd index + 2, Y+START+2
    .set index, index + 3
    .endr
    push r28
    push r29
    .if \bits < 4
    push r26
    push r27
    ldd r27, Y+PASSES
    ldi r26, 3
    clr r25
    .else
    ldd r24, Y+PASSES
    ldd r25, Y+PASSES+1
    clr r22
    .endif
    ldd r20, Y+INPUT
    ldd r21, Y+INPUT+1
    movw r28, r20
.Linputs_\name:
    .if \bits < 4
    .set index, 20
    .rept IN_BYTE_OF_\bits
    ld index, Y+
    .set index, index + 1
    .endr
    .irp accumulator, 2, 5, 8, 11, 14, 17
    LE_TERNARY_WEIGHTS \accumulator, IN_BYTE_OF_\bits
    .endr
    dec r27
    breq 1f
    rjmp .Linputs_\name
1:  pop r27
    pop r26
    .else
    .rept 4
    ld r20, Y+
    .set index, 2
    .if \bits == 8
    .rept OUTPUTS
    LE_FLASH r21
    LE_WEIGHTED index
    .set index, index + 3
    .endr
    .else
    .rept OUTPUTS / 2
    LE_FLASH r23
    mov r21, r23
    andi r21, 15
    LE_WEIGHTED index
    mov r21, r23
    swap r21
    andi r21, 15
    LE_WEIGHTED index + 3
    .set index, index + 6
    .endr
    .endif
    .endr
    sbiw r24, 1
    breq 1f
    rjmp .Linputs_\name
1:
    .endif

    pop r29
    pop r28
    .if \bits < 8
    .set index, 2
    .rept OUTPUTS
    lsl index
    rol index + 1
    rol index + 2
    .set index, index + 3
    .endr
    .endif
    .irp register, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2
    push \register
    .endr
    ldd r6, Y+COUNT
    ldd r7, Y+COUNT+1
    ldi r24, OUTPUTS
    mov r8, r24
    clr r9
.Loutput_\name:
    pop r2
    pop r3
    pop r4
    \load
    cp r6, r9
    cpc r7, r9
    brne 1f
    rjmp .Lnext_\name      /* it only fills up the last group */
1:
    \requantize
    st X+, r5
    movw r24, r6
    sbiw r24, 1
    movw r6, r24
.Lnext_\name:
    dec r8
    breq 1f
    rjmp .Loutput_\name
1:  std Y+COUNT, r6
    std Y+COUNT+1, r7
    or r6, r7
    breq 1f
    rjmp .Lgroup_\name
1:  LE_RESTORE
    ret
    .size \name, . - \name
.endm
