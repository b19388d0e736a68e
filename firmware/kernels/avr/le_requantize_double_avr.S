/* TFLM's requantisation, rounding twice: one routine for all kernels; its use of registers is not C's.
 *
 * a = sum + bias, an int24 above -2^23; M, a uint32, is twice TFLM's Q0.31 multiplier; r its shift to the right.
 *   high = floor((a M + 2^31) / 2^32)                      SaturatingRoundingDoublingHighMul: half up
 *   output = floor((high - (high < 0) + 2^(r - 1)) / 2^r)  RoundingDivideByPOT: half away from zero
 * With r = 8 * whole + s, s from 1 to 8, and y = (high - (high < 0)) / 2^(8 * whole), rounded down, that is
 *   floor((y * factor + 2^7) / 2^8), factor = 2^(8 - s):
 * whole bytes are moved, the other bits are multiplied away. No shift to the right: `whole` is 128 + the shift to the
 * left, a times 2^that is still such an int24, and high is the output.
 *
 * Of the product's bytes 0 to 6 the lowest is of no use; 1 to 6 are r24, r25, r20-r23. About 120 cycles, call and return
 * with it: 64 for the twelve products.
 */
#include "le_avr_macros.h"

    .section .text.le_requantize_double_avr, "ax", @progbits
    .global le_requantize_double_avr
    .type le_requantize_double_avr, @function

/* In: r2-r4 sum, r14-r16 bias, r10-r13 M, r19 factor, r18 whole, r17 zero point + 128. Out: r5. Changes r0-r4, r20-r25. */
le_requantize_double_avr:
    clr r5
    add r2, r14
    adc r3, r15
    adc r4, r16
    sbrc r18, 7
    rjmp .Lleft

.Lproduct:
    mul r3, r10
    movw r24, r0
    mul r3, r12
    movw r20, r0
    clr r22
    mul r3, r11
    add r25, r0
    adc r20, r1
    adc r21, r5
    mul r3, r13
    add r21, r0
    adc r22, r1
    mul r2, r13
    add r20, r0
    adc r21, r1
    adc r22, r5
    mul r2, r12
    add r25, r0
    adc r20, r1
    adc r21, r5
    adc r22, r5
    mul r2, r11
    add r24, r0
    adc r25, r1
    adc r20, r5
    adc r21, r5
    adc r22, r5
    mul r2, r10
    add r24, r1
    adc r25, r5
    adc r20, r5
    adc r21, r5
    adc r22, r5
    clr r23
    mul r4, r13
    add r22, r0
    adc r23, r1
    mul r4, r12
    add r21, r0
    adc r22, r1
    adc r23, r5
    mul r4, r11
    add r20, r0
    adc r21, r1
    adc r22, r5
    adc r23, r5
    mul r4, r10
    add r25, r0
    adc r20, r1
    adc r21, r5
    adc r22, r5
    adc r23, r5
    sbrs r4, 7
    rjmp 1f
    sub r20, r10     /* a is negative: it is what was multiplied, less 2^24 */
    sbc r21, r11
    sbc r22, r12
    sbc r23, r13
1:  lsl r20          /* + 2^31 */
    adc r21, r5
    adc r22, r5
    adc r23, r5      /* r21-r23: high */
    sbrc r18, 7
    rjmp .Lwhole
    mov r24, r23
    lsl r24
    sbc r21, r5
    sbc r22, r5
    sbc r23, r5
    mov r24, r18
2:  subi r24, 1
    brcs 3f
    mov r21, r22
    mov r22, r23
    lsl r23
    sbc r23, r23
    rjmp 2b
3:  mul r22, r19     /* r21-r23: y */
    movw r24, r0
    mul r21, r19
    lsl r0           /* + 2^7 */
    adc r24, r1
    adc r25, r5
    mulsu r23, r19
    add r25, r0
    adc r1, r5

.Loutput:            /* r24, r25, r1: an int24; with the zero point + 128 it is 0 to 255, or saturates */
    add r24, r17
    adc r25, r5
    adc r1, r5
.Lsaturate:
    or r25, r1
    breq 4f
    lsl r1
    sbc r24, r24
    com r24
4:  subi r24, 0x80
    mov r5, r24
    ret

.Lwhole:
    mov r24, r21
    mov r25, r22
    mov r1, r23
    add r24, r17
    adc r25, r5
    adc r1, r5
    brvc .Lsaturate
    dec r1           /* 2^23 or more, which looked negative: 0x7F saturates, too */
    rjmp .Lsaturate

.Lleft:
    mov r24, r18
    rjmp 6f
5:  lsl r2
    rol r3
    rol r4
6:  subi r24, 1      /* negative down to 128 */
    brmi 5b
    rjmp .Lproduct
    .size le_requantize_double_avr, .-le_requantize_double_avr
