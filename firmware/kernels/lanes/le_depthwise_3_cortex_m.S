/* Depthwise convolution with windows of 3 x 3: one channel of a strip, for le_depthwise_3_lanes.h, which says what the
 * arguments are.
 *
 * Down a column of outputs. With a vertical stride of 1 the three inputs of a row are in registers for the three outputs that
 * see them, as their last, middle and first row: an input is loaded once for each column that it is in. An output: 3 LDRB, 3
 * LDM of weights, 9 MUL, 8 ADD, 4 for the next row, 3 to store, 3 for the loop, and its requantisation, 12, or 29 with TFLM's;
 * on an M3 6 less, which has MLA. With another stride an output has all its 9 inputs loaded, from its last row upwards.
 *
 * Registers: r0 u, r1 table, r2 to r4 the inputs, r5 to r7 weights; r8 sum of the output whose last row comes next, r9 of the
 * one after it, or with another stride bytes to the last row of the next output; r10 output, r11 bytes to the output below,
 * r12 bytes to the next row of the strip, lr u behind the column.
 */
    .syntax unified
    .thumb

    .set width, 0 /* words on the stack: the arguments, then */
    .set step, 4
    .set channels, 8
    .set span, 12
    .set next, 16
    .set column, 20 /* u of the column */
    .set output, 24 /* its first output */
    .set frame, 28

    .macro inputs
    ldrb r2, [r0]
    ldrb r3, [r0, #1]
    ldrb r4, [r0, #2]
    add r0, r12
    .endm

/* r5: the products with the next row of weights */
    .macro products
    ldmia r1!, {r5, r6, r7}
    muls r5, r2
#if __ARM_ARCH >= 7
    mla r5, r6, r3, r5
    mla r5, r7, r4, r5
#else
    muls r6, r3
    muls r7, r4
    adds r5, r5, r6
    adds r5, r5, r7
#endif
    .endm

/* r2: a sum -> r7: its output; r1 is behind the words then; r2 to r6 are lost. */
    .macro requantize_divided
    ldmia r1!, {r3, r4, r5, r6}
    adds r2, r2, r3
    movs r7, #127
    cmp r2, r4
    bge 9f
    asrs r3, r2, #31
    bics r2, r3
    muls r5, r2
    muls r6, r2
    lsrs r6, r6, #14
    adds r5, r5, r6
    lsrs r7, r5, #14
    subs r7, #128
9:
    .endm

/* Stores it, and goes to the next output below; r1: table again. */
    .macro store words
    mov r2, r10
    strb r7, [r2]
    add r10, r11
    subs r1, #36 + 4 * \words
    cmp r0, lr
    .endm

/* A shift leaves the last bit that it shifts out in the carry, which ADCS adds: that rounds half up. The halves of the
 * product are those of le_requantize_lanes.h. */
    .macro requantize_double
    ldmia r1!, {r3, r4, r5}
    adds r2, r2, r3
#if __ARM_ARCH >= 7
    orr r5, r5, r4, lsl #16
    smull r3, r4, r2, r5
    lsls r2, r4, #1
    lsrs r3, r3, #31
    adcs r2, r3
#else
    sxth r3, r2
    subs r2, r2, r3
    asrs r2, r2, #16
    mov r6, r5
    muls r6, r3
    asrs r6, r6, #16
    muls r3, r4
    adds r6, r6, r3
    muls r5, r2
    adds r6, r6, r5
    muls r2, r4
    lsls r2, r2, #1
    asrs r6, r6, #15
    adcs r2, r6
#endif
    asrs r3, r2, #31
    adds r2, r2, r3
    ldmia r1!, {r3, r4, r5, r6}
    asrs r2, r3
    adcs r2, r4
    mov r7, r5
    cmp r2, r5
    ble 9f
    mov r7, r6
    cmp r2, r6
    bge 9f
    mov r7, r2
9:
    .endm

    .macro channel rounding, words
    .section .text.le_depthwise_3_\rounding\()_lanes, "ax", %progbits
    .balign 4
    .global le_depthwise_3_\rounding\()_lanes
    .type le_depthwise_3_\rounding\()_lanes, %function
    .thumb_func
/* r0: u, r1: table, r2: output, r3: the arguments, as in the C */
le_depthwise_3_\rounding\()_lanes:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    sub sp, #frame
    str r0, [sp, #column]
    str r2, [sp, #output]
    mov r10, r2
    ldmia r3!, {r4, r5, r6, r7}
    str r4, [sp, #width]
    str r5, [sp, #step]
    str r6, [sp, #channels]
    str r7, [sp, #span]
    ldmia r3!, {r4, r5, r6}
    mov r12, r4
    mov r11, r5
    str r6, [sp, #next]
1:  ldr r5, [sp, #next]
    cmp r5, #0
    bne 4f
    adds r1, #24 /* what the first output takes of two rows, and the second one of one */
    inputs
    products
    mov r9, r5
    subs r1, #24
    inputs
    products
    add r9, r5
    products
    mov r8, r9
    mov r9, r5
    ldr r5, [sp, #span]
    adds r5, r5, r0
    mov lr, r5
    subs r1, #36
2:  inputs
    products
    add r8, r5
    products
    add r9, r5
    products
    mov r2, r8
    mov r8, r9
    mov r9, r5
    requantize_\rounding
    store \words
    bne 2b
3:  ldr r2, [sp, #width]
    subs r2, #1
    beq 6f
    str r2, [sp, #width]
    ldr r0, [sp, #column]
    ldr r3, [sp, #step]
    adds r0, r0, r3
    str r0, [sp, #column]
    ldr r2, [sp, #output]
    ldr r3, [sp, #channels]
    adds r2, r2, r3
    str r2, [sp, #output]
    mov r10, r2
    b 1b

4:  mov r9, r5 /* another stride */
    ldr r5, [sp, #span]
    adds r5, r5, r0
    mov lr, r5
5:  inputs
    products
    mov r8, r5
    inputs
    products
    add r8, r5
    inputs
    products
    mov r2, r8
    adds r2, r2, r5
    add r0, r9
    requantize_\rounding
    store \words
    bne 5b
    b 3b
6:  add sp, #frame
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
    .size le_depthwise_3_\rounding\()_lanes, . - le_depthwise_3_\rounding\()_lanes
    .endm

    channel divided, 4
    channel double, 7
