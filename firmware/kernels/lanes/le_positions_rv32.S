/* Convolution: all output channels of two positions, for le_conv2d_positions_lanes.c. le_lanes.h has the arithmetic.
 *
 * Two pairs of output channels at two positions: a tap is 4 loads, 4 MUL and 4 ADD for 8 MACs. Behind each chunk 12
 * instructions take the lanes apart (the first products need no ADD): with chunks of eight taps that makes 112
 * instructions for 64 MACs, of four 64 for 32, of two 76 for 32.
 *
 * Registers: a0 x, a1 and a2 tables of the two pairs, a3 end of x, a4, a5 weights, a6, a7 x, t0 to t3 chunks of the
 * first pair at both positions and of the second one, t4 a product, t5 half a lane; s0, s1 sums of the words and of b of
 * the first pair at position 0, s2, s3 at position 1, s4 to s7 of the second pair; s8, s9 outputs, s10 channels left,
 * s11 bytes of a pair in the table; ra arguments.
 */
#define BEHIND 24 /* bytes: offset, limit, reciprocal of two channels */
#define FRAME 64
#define OTHERS 16 /* bytes into the arguments: zero point, smallest and largest output */

    .macro load at
    lw a4, 4 * \at(a1)
    lw a5, 4 * \at(a2)
    lw a6, 8 * \at(a0)
    lw a7, 8 * \at + 4(a0)
    .endm

    .macro first at
    load \at
    mul t0, a4, a6
    mul t1, a4, a7
    mul t2, a5, a6
    mul t3, a5, a7
    .endm

    .macro product chunk, weight, x
    mul t4, \weight, \x
    add \chunk, \chunk, t4
    .endm

    .macro tap at
    load \at
    product t0, a4, a6
    product t1, a4, a7
    product t2, a5, a6
    product t3, a5, a7
    .endm

    .macro apart chunk, sum, sum_b
    add \chunk, \chunk, t5
    add \sum, \sum, \chunk
    srai \chunk, \chunk, 16
    add \sum_b, \sum_b, \chunk
    .endm

    .macro all_apart
    apart t0, s0, s1
    apart t1, s2, s3
    apart t2, s4, s5
    apart t3, s6, s7
    .endm

    .macro further taps
    addi a0, a0, 8 * \taps
    addi a1, a1, 4 * \taps
    addi a2, a2, 4 * \taps
    .endm

/* The sum of a: what the upper lanes added to the word is taken off. */
    .macro sum_of_a sum, sum_b
    slli t4, \sum_b, 16
    sub \sum, \sum, t4
    .endm

/* A sum -> its output; a4 offset, a5 limit, a6 floor(2^32 / q) + 1. */
    .macro requantize_divided sum, output, at
    add a7, \sum, a4
    bltz a7, 7f
    bge a7, a5, 8f
    mulhu a7, a7, a6
    addi a7, a7, -128
    j 9f
7:  li a7, -128
    j 9f
8:  li a7, 127
9:  sb a7, \at(\output)
    .endm

/* A sum -> its output; a4 bias, a5 multiplier, a6 shift - 1; t1 zero point, t2 smallest, t3 largest output. */
    .macro requantize_double sum, output, at
    add a7, \sum, a4
    slli a7, a7, 1
    mul t0, a7, a5
    mulh a7, a7, a5
    srli t0, t0, 31
    add a7, a7, t0
    srai t0, a7, 31
    add a7, a7, t0
    sra a7, a7, a6
    addi a7, a7, 1
    srai a7, a7, 1
    add a7, a7, t1
    bge a7, t2, 7f
    mv a7, t2
7:  ble a7, t3, 9f
    mv a7, t3
9:  sb a7, \at(\output)
    .endm

/* Both positions, position 1 first; `words` of the table are those of the channel. */
    .macro channel rounding, words, left, right, at
    lw a4, 0 + \words
    lw a5, 4 + \words
    lw a6, 8 + \words
    requantize_\rounding \right, s9, \at
    requantize_\rounding \left, s8, \at
    .endm

    .macro two_positions rounding
    .section .text.le_two_positions_\rounding\()_lanes_s8, "ax", %progbits
    .balign 4
    .global le_two_positions_\rounding\()_lanes_s8
    .type le_two_positions_\rounding\()_lanes_s8, %function
/* a0: the arguments, as in the C. Position 1 is stored first, as its output may be in the place of the other's. */
le_two_positions_\rounding\()_lanes_s8:
    addi sp, sp, -FRAME
    sw s0, 0(sp)
    sw s1, 4(sp)
    sw s2, 8(sp)
    sw s3, 12(sp)
    sw s4, 16(sp)
    sw s5, 20(sp)
    sw s6, 24(sp)
    sw s7, 28(sp)
    sw s8, 32(sp)
    sw s9, 36(sp)
    sw s10, 40(sp)
    sw s11, 44(sp)
    sw ra, 48(sp)
    mv ra, a0
    lw t6, 0(a0)
    lw s8, 4(a0)
    lw s9, 8(a0)
    lw s10, 12(a0)
    lw a1, 28(a0)
    lw a3, 32(a0)
    sub s11, a3, t6
    srli s11, s11, 1
    addi s11, s11, 4 + BEHIND
    li t5, 32768
1:  mv a0, t6
    mv a2, a1
    addi t4, s10, -2
    blez t4, 2f
    add a2, a1, s11
2:  lw t4, 0(a1)
    addi a1, a1, 4
    addi a2, a2, 4
    li s0, 0
    li s1, 0
    li s2, 0
    li s3, 0
    li s4, 0
    li s5, 0
    li s6, 0
    li s7, 0
    li a4, 4
    beq t4, a4, 4f
    bgtu t4, a4, 8f
3:  first 0
    tap 1
    all_apart
    first 2
    tap 3
    all_apart
    further 4
    bne a0, a3, 3b
    j 5f
4:  first 0
    tap 1
    tap 2
    tap 3
    all_apart
    further 4
    bne a0, a3, 4b
    j 5f
8:  first 0
    tap 1
    tap 2
    tap 3
    tap 4
    tap 5
    tap 6
    tap 7
    all_apart
    further 8
    bne a0, a3, 8b

5:  lw t1, OTHERS + 0(ra)
    lw t2, OTHERS + 4(ra)
    lw t3, OTHERS + 8(ra)
    sum_of_a s0, s1
    sum_of_a s2, s3
    channel \rounding, 0(a1), s0, s2, 0
    addi s10, s10, -1
    beqz s10, 6f
    channel \rounding, 12(a1), s1, s3, 1
    addi s10, s10, -1
    beqz s10, 6f
    sum_of_a s4, s5
    sum_of_a s6, s7
    channel \rounding, 0(a2), s4, s6, 2
    addi s10, s10, -1
    beqz s10, 6f
    channel \rounding, 12(a2), s5, s7, 3
    addi s10, s10, -1
    beqz s10, 6f
    addi s8, s8, 4
    addi s9, s9, 4
    addi a1, a2, BEHIND
    j 1b
6:  lw s0, 0(sp)
    lw s1, 4(sp)
    lw s2, 8(sp)
    lw s3, 12(sp)
    lw s4, 16(sp)
    lw s5, 20(sp)
    lw s6, 24(sp)
    lw s7, 28(sp)
    lw s8, 32(sp)
    lw s9, 36(sp)
    lw s10, 40(sp)
    lw s11, 44(sp)
    lw ra, 48(sp)
    addi sp, sp, FRAME
    ret
    .size le_two_positions_\rounding\()_lanes_s8, . - le_two_positions_\rounding\()_lanes_s8
    .endm

    two_positions divided
    two_positions double
