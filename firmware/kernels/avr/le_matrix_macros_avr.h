/* Matrix times vector: six outputs at a time, so that an input is loaded once for six products; a weight is used once.
 *
 * Registers:
 *   r0, r1 product     r2-r19 accumulators, 24 bits each     r20 input     r21 weight     r22 zero     r23 two weights
 *   r24, r25 inputs to do / 4     X output     Y input     RAMPZ:Z table
 *
 * Cycles for four inputs: 4 * (2 + 6 * (3 + 5)) + 4 = 204 for 24 MACs, 8.5 per MAC; of four bits
 * 4 * (2 + 3 * (3 + 7 + 7)) + 4 = 216, 9 per MAC. In addition for each output about 115.
 */
#include "le_avr_macros.h"

#define OUTPUTS 6

/* Offsets in le_vector_avr. */
START = 0
INPUT = 3
OUTPUT = 5
QUARTER = 7
COUNT = 9
TABLE = 11

/* accumulator += r20 * r21. */
.macro LE_WEIGHTED accumulator
    mul r20, r21
    add \accumulator, r0
    adc \accumulator + 1, r1
    adc \accumulator + 2, r22
.endm

/* void name(le_vector_avr *vector); the weights have 8 or 4 bits, and then the sums are doubled.
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
    ldd r24, Y+QUARTER
    ldd r25, Y+QUARTER+1
    ldd r20, Y+INPUT
    ldd r21, Y+INPUT+1
    movw r28, r20
    clr r22
.Linputs_\name:
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

1:  pop r29
    pop r28
    .if \bits == 4
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
