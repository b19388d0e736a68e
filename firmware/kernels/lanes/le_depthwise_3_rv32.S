/* Depthwise convolution with windows of 3 x 3: one channel of a strip, for le_depthwise_3_lanes.h, which says what the
 * arguments are.
 *
 * Down a column of outputs, with the weights in registers. With a vertical stride of 1 the three inputs of a row are loaded
 * for the three outputs that see them, as their last, middle and first row. An output: 3 LBU, 9 MUL, 8 ADD, 4 for the next
 * row, store and loop, and its requantisation, 6, or 17 with TFLM's. With another stride an output has all its 9 inputs
 * loaded, from its last row upwards.
 *
 * Registers: a0 u, a1 table, then u behind the column, a2 output, a3 arguments, a4 sum of the output whose last row comes
 * next, a5 of the one after it, or with another stride bytes to the last row of the next output; a6 sum, a7 and t3 one
 * product; t0 to t2 inputs; s0 to s8 weights; t4 bytes to the next row of the strip, t5 to the output below; s9 to s11, t6
 * and ra what the requantisation has.
 */
#define COLUMN 0 /* on the stack, in bytes: u of the column, its first output, columns left */
#define OUTPUT 4
#define WIDTH 8
#define LARGEST 12
#define SAVED 16
#define FRAME 80

    .macro inputs
    lbu t0, 0(a0)
    lbu t1, 1(a0)
    lbu t2, 2(a0)
    add a0, a0, t4
    .endm

    .macro plus sum, weight, input
    mul t3, \weight, \input
    add \sum, \sum, t3
    .endm

/* sum = other + the products of a row */
    .macro row sum, other, w0, w1, w2
    mul t3, \w0, t0
    add \sum, \other, t3
    plus \sum, \w1, t1
    plus \sum, \w2, t2
    .endm

    .macro first_row sum
    mul \sum, s0, t0
    plus \sum, s1, t1
    plus \sum, s2, t2
    .endm

/* s9 offset, s10 limit, s11 16 times the reciprocal, so that the upper word of its product with K is the quotient */
    .macro words_divided
    lw s9, 36(a1)
    lw s10, 40(a1)
    lw t0, 44(a1)
    lw t1, 48(a1)
    slli t0, t0, 18
    slli t1, t1, 4
    or s11, t0, t1
    .endm

    .macro requantize_divided
    add a6, a6, s9
    bltz a6, 7f
    bge a6, s10, 8f
    mulhu a6, a6, s11
    addi a6, a6, -128
    j 9f
7:  li a6, -128
    j 9f
8:  li a6, 127
9:
    .endm

/* s9 bias, s10 multiplier, s11 shift - 1, t6 zero point, ra smallest output */
    .macro words_double
    lw s9, 36(a1)
    lw s10, 40(a1)
    lw t0, 44(a1)
    slli s10, s10, 16
    or s10, s10, t0
    lw s11, 48(a1)
    addi s11, s11, -1
    lw t6, 52(a1)
    lw ra, 56(a1)
    lw t0, 60(a1)
    sw t0, LARGEST(sp)
    .endm

/* 2 a m = 2^32 high + low, so that (a m + 2^30) >> 31 is high and the upper bit of low */
    .macro requantize_double
    add a6, a6, s9
    slli a6, a6, 1
    mul a7, a6, s10
    mulh a6, a6, s10
    srli a7, a7, 31
    add a6, a6, a7
    srai a7, a6, 31
    add a6, a6, a7
    sra a6, a6, s11
    addi a6, a6, 1
    srai a6, a6, 1
    add a6, a6, t6
    lw a7, LARGEST(sp)
    bge a6, ra, 8f
    mv a6, ra
8:  ble a6, a7, 9f
    mv a6, a7
9:
    .endm

    .macro channel rounding
    .section .text.le_depthwise_3_\rounding\()_lanes, "ax", %progbits
    .balign 4
    .global le_depthwise_3_\rounding\()_lanes
    .type le_depthwise_3_\rounding\()_lanes, %function
/* a0: u, a1: table, a2: output, a3: the arguments, as in the C */
le_depthwise_3_\rounding\()_lanes:
    addi sp, sp, -FRAME
    sw ra, SAVED + 0(sp)
    sw s0, SAVED + 4(sp)
    sw s1, SAVED + 8(sp)
    sw s2, SAVED + 12(sp)
    sw s3, SAVED + 16(sp)
    sw s4, SAVED + 20(sp)
    sw s5, SAVED + 24(sp)
    sw s6, SAVED + 28(sp)
    sw s7, SAVED + 32(sp)
    sw s8, SAVED + 36(sp)
    sw s9, SAVED + 40(sp)
    sw s10, SAVED + 44(sp)
    sw s11, SAVED + 48(sp)
    sw a0, COLUMN(sp)
    sw a2, OUTPUT(sp)
    lw t0, 0(a3)
    sw t0, WIDTH(sp)
    lw t4, 16(a3)
    lw t5, 20(a3)
    lw s6, 0(a1)
    lw s7, 4(a1)
    lw s8, 8(a1)
    lw s3, 12(a1)
    lw s4, 16(a1)
    lw s5, 20(a1)
    lw s0, 24(a1)
    lw s1, 28(a1)
    lw s2, 32(a1)
    words_\rounding
1:  lw t2, 24(a3)
    bnez t2, 4f
    inputs /* what the first output takes of two rows, and the second one of one */
    first_row a5
    inputs
    row a4, a5, s3, s4, s5
    first_row a5
    lw a1, 12(a3)
    add a1, a1, a0
2:  inputs
    row a6, a4, s6, s7, s8
    row a4, a5, s3, s4, s5
    first_row a5
    requantize_\rounding
    sb a6, 0(a2)
    add a2, a2, t5
    bne a0, a1, 2b
3:  lw t0, WIDTH(sp)
    lw a0, COLUMN(sp)
    lw a2, OUTPUT(sp)
    lw t1, 4(a3)
    lw t2, 8(a3)
    addi t0, t0, -1
    add a0, a0, t1
    add a2, a2, t2
    sw t0, WIDTH(sp)
    sw a0, COLUMN(sp)
    sw a2, OUTPUT(sp)
    bnez t0, 1b
    j 6f

4:  mv a5, t2 /* another stride */
    lw a1, 12(a3)
    add a1, a1, a0
5:  inputs
    row a6, zero, s6, s7, s8
    inputs
    row a6, a6, s3, s4, s5
    inputs
    row a6, a6, s0, s1, s2
    add a0, a0, a5
    requantize_\rounding
    sb a6, 0(a2)
    add a2, a2, t5
    bne a0, a1, 5b
    j 3b
6:  lw ra, SAVED + 0(sp)
    lw s0, SAVED + 4(sp)
    lw s1, SAVED + 8(sp)
    lw s2, SAVED + 12(sp)
    lw s3, SAVED + 16(sp)
    lw s4, SAVED + 20(sp)
    lw s5, SAVED + 24(sp)
    lw s6, SAVED + 28(sp)
    lw s7, SAVED + 32(sp)
    lw s8, SAVED + 36(sp)
    lw s9, SAVED + 40(sp)
    lw s10, SAVED + 44(sp)
    lw s11, SAVED + 48(sp)
    addi sp, sp, FRAME
    ret
    .size le_depthwise_3_\rounding\()_lanes, . - le_depthwise_3_\rounding\()_lanes
    .endm

    channel divided
    channel double
