/* Convolution: one tile of 2 x 2 positions, all output channels; for le_conv2d_tiles_lanes.c. le_lanes.h has the arithmetic.
 *
 * Two positions side by side, two output channels in the lanes of a word, one chunk (a row of the kernel in one input
 * channel) after the other; then the two positions below them. Of a chunk of five taps: 6 loads of u, 10 MUL, 10 ADD, 4
 * for the weights, 6 that take the lanes apart, and the next row: 37 instructions for 20 MACs. On an M3, which has MLA
 * and adds a shifted register, 25.
 *
 * Registers: r0 u, r1 table, r2, r3, r5 weights, r4 u, r6, r7 lanes of the left and right position; r8, r9 sums of the
 * words and of b at the left position, r10, r11 at the right one; r12 bytes of a row of the strip, lr the end of the pair's weights.
 */
    .syntax unified
    .thumb

    .set strip, 0 /* words on the stack */
    .set table, 4
    .set output, 8
    .set channels, 12 /* left */
    .set weights_bytes, 16
    .set plane, 20
    .set pooled, 24
    .set largest_a, 28 /* of the upper positions */
    .set largest_b, 32
    .set frame, 36

/* sum += a b; one of a and b is not needed afterwards: `spent`. */
    .macro product sum, spent, other
#if __ARM_ARCH >= 7
    mla \sum, \spent, \other, \sum
#else
    muls \spent, \other
    adds \sum, \spent
#endif
    .endm

/* Both positions take u at column `at`, the right one with the weight before; this weight or u is spent last. */
    .macro column at, before, weight
    ldrb r4, [r0, #\at]
    product r7, \before, r4
    product r6, r4, \weight
    .endm

    .macro first weight
    ldrb r4, [r0]
    mov r7, r6
    product r6, r4, \weight
    .endm

    .macro last at, weight
    ldrb r4, [r0, #\at]
    product r7, r4, \weight
    .endm

    .macro apart lanes, sum, sum_b
    add \sum, \lanes
#if __ARM_ARCH >= 7
    add \sum_b, \sum_b, \lanes, lsr #16
#else
    lsrs \lanes, \lanes, #16
    add \sum_b, \lanes
#endif
    .endm

    .macro chunk_1
    ldmia r1!, {r2, r6}
    first r2
    last 1, r2
    .endm

    .macro chunk_3
    ldmia r1!, {r2, r3, r6}
    first r2
    column 1, r2, r3
    ldmia r1!, {r5}
    column 2, r3, r5
    last 3, r5
    .endm

    .macro chunk_5
    ldmia r1!, {r2, r3, r6}
    first r2
    column 1, r2, r3
    ldmia r1!, {r2, r5}
    column 2, r3, r2
    column 3, r2, r5
    ldmia r1!, {r3}
    column 4, r5, r3
    last 5, r3
    .endm

/* r8 to r11 -> r8 and r10 the sums of a: what the upper lanes added to the word is taken off, and the offsets added, which
 * are at r3; r2 to r5 are lost. */
    .macro lower_lanes
    ldmia r3!, {r4, r5}
    mov r2, r9
    mov r3, r11
    lsls r2, r2, #16
    lsls r3, r3, #16
    subs r2, r4, r2
    subs r3, r4, r3
    add r8, r2
    add r10, r3
    add r9, r5
    add r11, r5
    .endm

/* r2: of two sums the larger one; r3 is lost */
    .macro larger sum, other
    mov r2, \sum
    mov r3, \other
    cmp r2, r3
    bge 9f
    mov r2, r3
9:
    .endm

/* r2: K -> the output in r2; r1: table. */
    .macro requantize
    ldmia r1!, {r3, r4, r5}
    cmp r2, r3
    bge 8f
    asrs r3, r2, #31
    bics r2, r3
    muls r4, r2
    lsrs r4, r4, #18
    mov r3, r5
    muls r3, r4
    subs r2, r2, r3
    cmp r2, r5
    blt 7f
    adds r4, #1
7:  mov r2, r4
    subs r2, #128
    b 9f
8:  movs r2, #127
9:
    .endm

    .macro tile size
    .section .text.le_tile_\size\()_lanes_s8, "ax", %progbits
    .balign 4
    .thumb_func
    .type two_positions_\size, %function
/* r0: u of the upper left tap, r1: table -> r8 to r11, and r1 behind the weights. */
two_positions_\size:
    push {lr}
    ldr r2, [sp, #weights_bytes + 4]
    adds r1, #8
    adds r2, r2, r1
    mov lr, r2
    movs r3, #0
    mov r8, r3
    mov r9, r3
    mov r10, r3
    mov r11, r3
1:  .rept \size
    chunk_\size
    apart r6, r8, r9
    apart r7, r10, r11
    add r0, r12
    .endr
    add r0, r12
    cmp r1, lr
    beq 2f
    b 1b
2:  ldr r3, [sp, #table + 4]
    lower_lanes
    pop {pc}

    .global le_tile_\size\()_lanes_s8
    .type le_tile_\size\()_lanes_s8, %function
    .balign 4
    .thumb_func
/* r0: u of the tile in the strip, r1: table, r2: output, r3: the arguments, as in the C */
le_tile_\size\()_lanes_s8:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    sub sp, #frame
    str r0, [sp, #strip]
    str r1, [sp, #table]
    str r2, [sp, #output]
    ldmia r3!, {r4, r5, r6, r7}
    mov r12, r4
    str r5, [sp, #weights_bytes]
    str r6, [sp, #plane]
    str r7, [sp, #pooled]
    ldr r4, [r3]
    str r4, [sp, #channels]
1:  ldr r0, [sp, #strip]
    ldr r1, [sp, #table]
    bl two_positions_\size
    ldr r2, [sp, #pooled]
    cmp r2, #0
    beq 4f
    larger r8, r10
    str r2, [sp, #largest_a]
    larger r9, r11
    str r2, [sp, #largest_b]
    ldr r0, [sp, #strip]
    ldr r1, [sp, #table]
    add r0, r12
    bl two_positions_\size
    larger r9, r11
    ldr r3, [sp, #largest_b]
    cmp r2, r3
    bge 2f
    mov r2, r3
2:  mov r9, r2
    larger r8, r10
    ldr r3, [sp, #largest_a]
    cmp r2, r3
    bge 3f
    mov r2, r3
3:  ldr r7, [sp, #output]
    ldr r6, [sp, #channels]
    requantize
    strb r2, [r7]
    subs r6, #1
    beq 6f
    mov r2, r9
    requantize
    strb r2, [r7, #1]
    b 5f

4:  ldr r7, [sp, #output] /* without pooling: four positions */
    bl store_two_\size
    ldr r0, [sp, #strip]
    ldr r1, [sp, #table]
    add r0, r12
    bl two_positions_\size
    ldr r7, [sp, #output]
    ldr r2, [sp, #plane]
    lsls r2, r2, #1
    adds r7, r7, r2
    bl store_two_\size
    adds r1, #24
    ldr r6, [sp, #channels]
    subs r6, #1
    beq 6f
5:  subs r6, #1
    beq 6f
    str r6, [sp, #channels]
    str r1, [sp, #table]
    ldr r7, [sp, #output]
    adds r7, #2
    str r7, [sp, #output]
    b 1b
6:  add sp, #frame
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}

    .balign 4
    .thumb_func
    .type store_two_\size, %function
/* r7: output of the left position; that of the right one is a plane further. r1 stays. */
store_two_\size:
    push {lr}
    ldr r6, [sp, #plane + 4]
    mov r2, r8
    requantize
    strb r2, [r7]
    mov r2, r9
    requantize
    strb r2, [r7, #1]
    subs r1, #24
    adds r7, r7, r6
    mov r2, r10
    requantize
    strb r2, [r7]
    mov r2, r11
    requantize
    strb r2, [r7, #1]
    subs r1, #24
    pop {pc}
    .size le_tile_\size\()_lanes_s8, . - le_tile_\size\()_lanes_s8
    .endm

    tile 1
    tile 3
    tile 5
