/* Convolution: all output channels of two positions, for le_conv2d_positions_lanes.c. le_lanes.h has the arithmetic.
 *
 * Each load of two output channels' weights serves both positions. Weights and inputs are words, so that one LDM loads
 * several: two taps are 3 LDM, 4 MUL, 4 ADD for 8 MACs. Behind each chunk 8 instructions take the lanes apart: with
 * chunks of eight taps that makes 51 instructions for 32 MACs, of four 29 for 16, of two 34 for 16. An M3, which has MLA
 * and adds a shifted register, takes 31, 17 and 18.
 *
 * Registers: r0 x, r1 table, r2, r3 weights, r4, r5 chunks of the two positions, r6, r7 x; r8, r9 sums of the words and
 * of b at position 0, r10, r11 at position 1; r12 half a lane, lr end of x.
 */
    .syntax unified
    .thumb

    .set x, 0 /* words on the stack */
    .set output_0, 4
    .set output_1, 8
    .set channels, 12 /* left */
    .set zero_point, 16 /* this and the next two: of TFLM's requantisation */
    .set smallest, 20
    .set largest, 24
    .set frame, 28

    .macro first chunk, weight
#if __ARM_ARCH >= 7
    mla \chunk, \chunk, \weight, r12
#else
    muls \chunk, \weight
#endif
    .endm

/* x is spent. */
    .macro product chunk, x, weight
#if __ARM_ARCH >= 7
    mla \chunk, \x, \weight, \chunk
#else
    muls \x, \weight
    adds \chunk, \x
#endif
    .endm

    .macro first_two_taps
    ldmia r1!, {r2, r3}
    ldmia r0!, {r4, r5, r6, r7}
    first r4, r2
    first r5, r2
    product r4, r6, r3
    product r5, r7, r3
    .endm

    .macro two_taps
    ldmia r1!, {r2, r3}
    ldmia r0!, {r6, r7}
    product r4, r6, r2
    product r5, r7, r2
    ldmia r0!, {r6, r7}
    product r4, r6, r3
    product r5, r7, r3
    .endm

    .macro apart chunk, sum, sum_b
#if __ARM_ARCH >= 7
    add \sum, \chunk
    add \sum_b, \sum_b, \chunk, asr #16
#else
    add \chunk, r12
    add \sum, \chunk
    asrs \chunk, \chunk, #16
    add \sum_b, \chunk
#endif
    .endm

    .macro both_apart
    apart r4, r8, r9
    apart r5, r10, r11
    .endm

/* r2: the sum of a channel, r3 offset, r4 limit, r5 and r6 upper and lower 14 bits of floor(2^28 / q) + 1 -> the output in
 * r7; r0, r2 are lost. */
    .macro requantize_divided
    adds r2, r2, r3
    movs r7, #127
    cmp r2, r4
    bge 9f
    asrs r0, r2, #31
    bics r2, r0
    mov r7, r5
    muls r7, r2
    muls r2, r6
    lsrs r2, r2, #14
    adds r7, r7, r2
    lsrs r7, r7, #14
    subs r7, #128
9:
    .endm

/* r2: the sum of a channel, r3 bias, r4 and r5 upper and lower half of the multiplier, r6 shift -> the output in r7; r0, r2
 * are lost. ASRS leaves the last bit that it shifts out in the carry, which ADCS adds: that rounds half up. */
    .macro requantize_double
    adds r2, r2, r3
#if __ARM_ARCH >= 7
    orr r7, r5, r4, lsl #16
    lsls r2, r2, #1
    smull r0, r7, r2, r7
    lsls r0, r0, #1
    adc r7, r7, #0
#else
    sxth r0, r2
    add r2, r12
    asrs r2, r2, #16
    mov r7, r0
    muls r7, r5
    asrs r7, r7, #16
    muls r0, r4
    adds r7, r7, r0
    mov r0, r2
    muls r0, r5
    adds r7, r7, r0
    muls r2, r4
    lsls r2, r2, #1
    asrs r7, r7, #15
    adcs r7, r2
#endif
    asrs r0, r7, #31
    adds r7, r7, r0
    ldr r0, [sp, #zero_point]
    asrs r7, r6
    adcs r7, r0
    ldr r0, [sp, #largest]
    cmp r7, r0
    bge 9f
    ldr r0, [sp, #smallest]
    cmp r7, r0
    ble 9f
    mov r0, r7
9:  mov r7, r0
    .endm

/* The sum of a: what the upper lanes added to the word is taken off. */
    .macro sum_of_a sum, sum_b
    mov r0, \sum_b
    mov r2, \sum
    lsls r0, r0, #16
    subs r2, r2, r0
    .endm

    .macro store output, at
    ldr r0, [sp, #\output]
    strb r7, [r0, #\at]
    .endm

    .macro next output
    ldr r0, [sp, #\output]
    strb r7, [r0, #1]
    adds r0, #2
    str r0, [sp, #\output]
    .endm

    .macro two_positions rounding
    .section .text.le_two_positions_\rounding\()_lanes_s8, "ax", %progbits
    .balign 4
    .global le_two_positions_\rounding\()_lanes_s8
    .thumb_func
    .type le_two_positions_\rounding\()_lanes_s8, %function
/* r0: the arguments, as in the C. Position 1 is stored first, as its output may be in the place of the other's. */
le_two_positions_\rounding\()_lanes_s8:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    sub sp, #frame
    mov r1, sp
    ldmia r0!, {r2-r7}
    stmia r1!, {r2-r7}
    ldmia r0!, {r2-r4}
    str r2, [r1]
    mov r1, r3
    mov lr, r4
    movs r3, #1
    lsls r3, r3, #15
    mov r12, r3
1:  movs r3, #0
    mov r8, r3
    mov r9, r3
    mov r10, r3
    mov r11, r3
    ldr r0, [sp, #x]
    ldmia r1!, {r2}
    cmp r2, #4
    beq 4f
    bhi 8f
2:  first_two_taps
    both_apart
    first_two_taps
    both_apart
    cmp r0, lr
    bne 2b
    b 5f
4:  first_two_taps
    two_taps
    both_apart
    cmp r0, lr
    bne 4b
    b 5f
8:  first_two_taps
    two_taps
    two_taps
    two_taps
    both_apart
    cmp r0, lr
    bne 8b

5:  ldmia r1!, {r3, r4, r5, r6}
    sum_of_a r10, r11
    requantize_\rounding
    store output_1, 0
    sum_of_a r8, r9
    requantize_\rounding
    store output_0, 0
    ldmia r1!, {r3, r4, r5, r6}
    ldr r7, [sp, #channels]
    subs r7, #1
    beq 6f
    subs r7, #1
    str r7, [sp, #channels]
    mov r2, r11
    requantize_\rounding
    next output_1
    mov r2, r9
    requantize_\rounding
    next output_0
    ldr r7, [sp, #channels]
    cmp r7, #0
    beq 6f
    b 1b
6:  add sp, #frame
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
    .size le_two_positions_\rounding\()_lanes_s8, . - le_two_positions_\rounding\()_lanes_s8
    .endm

    two_positions divided
    two_positions double
