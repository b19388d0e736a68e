/* A ternary matrix times a vector: five inputs at a time. All 243 sums that five digits of 0, 1, 2 can make of these inputs
 * are laid out once; then each output's byte of five digits is the number of the sum that it adds. No multiplication.
 *
 * Cycles for five inputs: about 2,040 for the sums, 27 for each output: with 120 outputs 8.8 for each weight. In addition for
 * each output about 130.
 */
#include "le_trits_macros_avr.h"

/* One more of these inputs: \sum += \input. r1 is zero. */
.macro LE_ADD_INPUT sum, input
    add \sum, \input
    adc \sum + 1, r1
.endm

/* The sum in r24, r25 is the next one: low bytes at X, high bytes at Z. */
.macro LE_STORE_SUM
    st X+, r24
    st Z+, r25
.endm

/* The next output adds its sum. r20, r21: where the sums are; r1 is zero. 27 cycles, 1 of them of the loop. */
.macro LE_ADD_SUM
    LE_FLASH r18
    movw r26, r20
    add r26, r18
    adc r27, r1
    ld r18, X
    inc r27
    ld r19, X
    ld r0, Y
    add r0, r18
    st Y+, r0
    ld r0, Y
    adc r0, r19
    st Y+, r0
    ld r0, Y
    adc r0, r1
    st Y+, r0
.endm

    .section .text.le_add_five_avr_s8, "ax", @progbits
    .global le_add_five_avr_s8
    .type le_add_five_avr_s8, @function

/* void le_add_five_avr_s8(le_five_avr *five)
 * r2-r6 inputs     r8-r15 the sums up to each of the first four     r16-r19 how often these are still to be added */
le_add_five_avr_s8:
    LE_SAVE
    push r24
    push r25
    movw r28, r24
    .set index, 0
    .rept 5
    ldd 2 + index, Y+INPUTS + index
    .set index, index + 1
    .endr
    ldd r26, Y+MADE
    ldd r27, Y+MADE+1
    movw r30, r26
    inc r31
    clr r8
    clr r9
    ldi r16, 3
.Lfirst:
    movw r10, r8
    ldi r17, 3
.Lsecond:
    movw r12, r10
    ldi r18, 3
.Lthird:
    movw r14, r12
    ldi r19, 3
.Lfourth:
    movw r24, r14
    LE_STORE_SUM
    LE_ADD_INPUT 24, 6
    LE_STORE_SUM
    LE_ADD_INPUT 24, 6
    LE_STORE_SUM
    LE_ADD_INPUT 14, 5
    dec r19
    brne .Lfourth
    LE_ADD_INPUT 12, 4
    dec r18
    brne .Lthird
    LE_ADD_INPUT 10, 3
    dec r17
    brne .Lsecond
    LE_ADD_INPUT 8, 2
    dec r16
    brne .Lfirst

    ldd r20, Y+MADE
    ldd r21, Y+MADE+1
    ldd r24, Y+OUTPUTS
    ldd r25, Y+OUTPUTS+1
    adiw r24, 3      /* four at a time */
    ldd r30, Y+TABLE
    ldd r31, Y+TABLE+1
    ldd r18, Y+TABLE+2
    LE_FLASH_AT r18
    ldd r18, Y+SUMS
    ldd r19, Y+SUMS+1
    movw r28, r18
    lsr r25
    ror r24
    lsr r25
    ror r24
1:  .rept 4
    LE_ADD_SUM
    .endr
    sbiw r24, 1
    breq 2f
    rjmp 1b

2:  pop r29
    pop r28
    std Y+TABLE, r30
    std Y+TABLE+1, r31
    LE_FLASH_FROM r18
#ifdef __AVR_HAVE_ELPM__
    std Y+TABLE+2, r18
#endif
    LE_RESTORE
    ret
    .size le_add_five_avr_s8, . - le_add_five_avr_s8
