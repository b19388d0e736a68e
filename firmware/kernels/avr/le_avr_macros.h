/* For the assembly: requantisation, the larger of two sums, and saving of registers. */

SPL = 0x3D
SPH = 0x3E
RAMPZ = 0x3B

/* r = the table's next byte; where the flash ends within 64 KB, Z alone addresses it. */
.macro LE_FLASH register
#ifdef __AVR_HAVE_ELPM__
    elpm \register, Z+
#else
    lpm \register, Z+
#endif
.endm

/* The same, and it stays the next. */
.macro LE_FLASH_AGAIN register
#ifdef __AVR_HAVE_ELPM__
    elpm \register, Z
#else
    lpm \register, Z
#endif
.endm

/* The upper byte of the table's address: it is \register, and \register is it. */
.macro LE_FLASH_AT register
#ifdef __AVR_HAVE_ELPM__
    out RAMPZ, \register
#endif
.endm
.macro LE_FLASH_FROM register
#ifdef __AVR_HAVE_ELPM__
    in \register, RAMPZ
#endif
.endm

/* What a function has to keep, next to r28 and r29. */
.macro LE_SAVE
    .irp register, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 28, 29
    push \register
    .endr
.endm

.macro LE_RESTORE
    .irp register, 29, 28, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2
    pop \register
    .endr
    clr r1
.endm

/* r2-r4 = the larger one of it and `other`, int24. */
.macro LE_LARGER other
    cp r2, \other
    cpc r3, \other + 1
    cpc r4, \other + 2
    brge 1f
    mov r2, \other
    mov r3, \other + 1
    mov r4, \other + 2
1:
.endm

/* r14-r16 multiplier, r17 scale, r18-r20 bias: the 7 bytes at RAMPZ:Z. 21 cycles. */
.macro LE_LOAD_OUTPUT
    .irp register, 18, 19, 20, 14, 15, 16, 17
    LE_FLASH \register
    .endr
.endm

/* r5 = the int8 output for the sum in r2-r4, with what LE_LOAD_OUTPUT loaded. 65 cycles.
 * n = sum + bias, signed; its product with the multiplier, unsigned, is in r25:r24:r23:r22:r21, the lowest byte being of
 * no use: that of n modulo 2^24, less 2^24 times the multiplier where n is negative. The result is r24, or r23 with a
 * scale of 2^24; what is above must be its sign, else it saturates. Changes r0, r1, r21-r25. */
.macro LE_REQUANTIZE
    clr r5
    add r2, r18
    adc r3, r19
    adc r4, r20
    mul r2, r14
    mov r21, r1
    mul r3, r15
    movw r22, r0
    mul r4, r16
    movw r24, r0
    mul r2, r15
    add r21, r0
    adc r22, r1
    adc r23, r5
    adc r24, r5
    adc r25, r5
    mul r3, r14
    add r21, r0
    adc r22, r1
    adc r23, r5
    adc r24, r5
    adc r25, r5
    mul r2, r16
    add r22, r0
    adc r23, r1
    adc r24, r5
    adc r25, r5
    mul r4, r14
    add r22, r0
    adc r23, r1
    adc r24, r5
    adc r25, r5
    mul r3, r16
    add r23, r0
    adc r24, r1
    adc r25, r5
    mul r4, r15
    add r23, r0
    adc r24, r1
    adc r25, r5
    sbrs r4, 7
    rjmp 1f
    sub r23, r14
    sbc r24, r15
    sbc r25, r16
1:  sbrs r17, 0
    rjmp 2f
    mov r23, r24     /* the scale is 2^32: one byte further up */
    mov r24, r25
    lsl r25
    sbc r25, r25
2:  mov r5, r23
    lsl r23
    sbc r23, r23     /* its sign */
    cp r24, r23
    cpc r25, r23
    breq 3f
    lsl r25
    sbc r25, r25
    subi r25, 0x80   /* of -1 and 0: 0x7F and 0x80, whose complements are -128 and 127 */
    com r25
    mov r5, r25
3:
.endm

/* The same for TFLM's requantisation: r14-r16 bias, r10-r13 multiplier, r19 factor, r18 whole bytes, r17 zero point, of
 * the 10 bytes at RAMPZ:Z. 30 cycles. */
.macro LE_LOAD_OUTPUT_DOUBLE
    .irp register, 14, 15, 16, 10, 11, 12, 13, 19, 18, 17
    LE_FLASH \register
    .endr
.endm

/* r5 = the int8 output for the sum in r2-r4, with what LE_LOAD_OUTPUT_DOUBLE loaded. Changes r0-r4, r20-r25. */
.macro LE_REQUANTIZE_DOUBLE
    call le_requantize_double_avr
.endm
