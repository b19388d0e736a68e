/* Convolution: one tile of 2 x 2 positions, all output channels; for le_conv2d_tiles_lanes.c. le_lanes.h has the arithmetic.
 *
 * Four positions, two output channels in the lanes of a word, one input channel after the other. A row of the strip is
 * under the taps of row r of the kernel for the upper positions and of row r - 1 for the lower ones, whose weights stay in
 * registers. A row of five taps of both: 6 loads of u, 7 of the table, 20 MUL, 20 ADD, 12 that take the lanes apart, 2
 * pointers: 67 instructions for 40 MACs; an input channel of 5 x 5: 341 for 200 MACs.
 *
 * Registers: a0 u, a1 table, a2 bytes of a row of the strip, a3 to a6 words upper left, upper right, lower left, lower
 * right, a7 one u, t0 a product; t1 and t2 sums of the words and of b upper left, t3 and t4 upper right, t5 and t6 lower
 * left, s0 and s1 lower right; s2 to s6 and s7 to s11 weights of two rows; ra end of the pair's weights.
 */
#define STRIP 0 /* on the stack, in bytes */
#define TABLE 4
#define OUTPUT 8
#define WEIGHTS_BYTES 12
#define PLANE 16
#define POOLED 20
#define CHANNELS 24 /* left */
#define SAVED 28
#define FRAME 80

    .macro product sum, weight
    mul t0, \weight, a7
    add \sum, \sum, t0
    .endm

    .macro apart word, sum, sum_b
    add \sum, \sum, \word
    srli \word, \word, 16
    add \sum_b, \sum_b, \word
    .endm

/* u at column `at`: `before` for the right position, `weight` for the left one. */
    .macro upper before, weight
    product a4, \before
    product a3, \weight
    .endm

    .macro lower before, weight
    product a6, \before
    product a5, \weight
    .endm

    .macro first_upper weight
    mul t0, \weight, a7
    add a3, a4, t0
    .endm

    .macro first_lower weight
    mul t0, \weight, a7
    add a5, a6, t0
    .endm

    .macro apart_upper
    apart a3, t1, t2
    apart a4, t3, t4
    .endm

    .macro apart_lower
    apart a5, t5, t6
    apart a6, s0, s1
    add a0, a0, a2
    .endm

/* A row of a kernel of five taps: upper with w, lower with v. */
    .macro load_5 w0, w1, w2, w3, w4
    lw \w0, 0(a1)
    lw \w1, 4(a1)
    lw a4, 8(a1)
    lw \w2, 12(a1)
    lw \w3, 16(a1)
    lw \w4, 20(a1)
    .endm

    .macro upper_5 w0, w1, w2, w3, w4
    load_5 \w0, \w1, \w2, \w3, \w4
    lbu a7, 0(a0)
    first_upper \w0
    lbu a7, 1(a0)
    upper \w0, \w1
    lbu a7, 2(a0)
    upper \w1, \w2
    lbu a7, 3(a0)
    upper \w2, \w3
    lbu a7, 4(a0)
    upper \w3, \w4
    lbu a7, 5(a0)
    product a4, \w4
    apart_upper
    add a0, a0, a2
    addi a1, a1, 24
    .endm

    .macro both_5 w0, w1, w2, w3, w4, v0, v1, v2, v3, v4
    load_5 \w0, \w1, \w2, \w3, \w4
    lw a6, -16(a1)
    lbu a7, 0(a0)
    first_upper \w0
    first_lower \v0
    lbu a7, 1(a0)
    upper \w0, \w1
    lower \v0, \v1
    lbu a7, 2(a0)
    upper \w1, \w2
    lower \v1, \v2
    lbu a7, 3(a0)
    upper \w2, \w3
    lower \v2, \v3
    lbu a7, 4(a0)
    upper \w3, \w4
    lower \v3, \v4
    lbu a7, 5(a0)
    product a4, \w4
    product a6, \v4
    apart_upper
    apart_lower
    addi a1, a1, 24
    .endm

    .macro lower_5 v0, v1, v2, v3, v4
    lw a6, -16(a1)
    lbu a7, 0(a0)
    first_lower \v0
    lbu a7, 1(a0)
    lower \v0, \v1
    lbu a7, 2(a0)
    lower \v1, \v2
    lbu a7, 3(a0)
    lower \v2, \v3
    lbu a7, 4(a0)
    lower \v3, \v4
    lbu a7, 5(a0)
    product a6, \v4
    apart_lower
    .endm

    .macro channel_5
    upper_5 s2, s3, s4, s5, s6
    both_5 s7, s8, s9, s10, s11, s2, s3, s4, s5, s6
    both_5 s2, s3, s4, s5, s6, s7, s8, s9, s10, s11
    both_5 s7, s8, s9, s10, s11, s2, s3, s4, s5, s6
    both_5 s2, s3, s4, s5, s6, s7, s8, s9, s10, s11
    lower_5 s2, s3, s4, s5, s6
    .endm

    .macro load_3 w0, w1, w2
    lw \w0, 0(a1)
    lw \w1, 4(a1)
    lw a4, 8(a1)
    lw \w2, 12(a1)
    .endm

    .macro both_3 w0, w1, w2, v0, v1, v2
    load_3 \w0, \w1, \w2
    lw a6, -8(a1)
    lbu a7, 0(a0)
    first_upper \w0
    first_lower \v0
    lbu a7, 1(a0)
    upper \w0, \w1
    lower \v0, \v1
    lbu a7, 2(a0)
    upper \w1, \w2
    lower \v1, \v2
    lbu a7, 3(a0)
    product a4, \w2
    product a6, \v2
    apart_upper
    apart_lower
    addi a1, a1, 16
    .endm

    .macro channel_3
    load_3 s2, s3, s4
    lbu a7, 0(a0)
    first_upper s2
    lbu a7, 1(a0)
    upper s2, s3
    lbu a7, 2(a0)
    upper s3, s4
    lbu a7, 3(a0)
    product a4, s4
    apart_upper
    add a0, a0, a2
    addi a1, a1, 16
    both_3 s7, s8, s9, s2, s3, s4
    both_3 s2, s3, s4, s7, s8, s9
    lw a6, -8(a1)
    lbu a7, 0(a0)
    first_lower s2
    lbu a7, 1(a0)
    lower s2, s3
    lbu a7, 2(a0)
    lower s3, s4
    lbu a7, 3(a0)
    product a6, s4
    apart_lower
    .endm

    .macro channel_1
    lw s2, 0(a1)
    lw a4, 4(a1)
    mv a6, a4
    lbu a7, 0(a0)
    first_upper s2
    lbu a7, 1(a0)
    product a4, s2
    add a0, a0, a2
    lbu a7, 0(a0)
    first_lower s2
    lbu a7, 1(a0)
    product a6, s2
    apart_upper
    apart_lower
    addi a1, a1, 8
    .endm

/* S - 65536 B */
    .macro lower_lane sum, sum_b
    slli t0, \sum_b, 16
    sub \sum, \sum, t0
    .endm

/* of = the larger one */
    .macro larger of, other
    bge \of, \other, 9f
    mv \of, \other
9:
    .endm

/* The output of a sum, to s10 + at; words is a register of 2 to 4: s2 limit, s3 floor(2^18 / q), s4 q, s8 offset, or those
 * of b: s5, s6, s7, s9. */
    .macro requantize sum, limit, reciprocal, q, offset, at
    add a7, \sum, \offset
    bltz a7, 7f
    bge a7, \limit, 8f
    mul t0, a7, \reciprocal
    srli t0, t0, 18
    mul a3, t0, \q
    sub a3, a7, a3
    sltu a3, a3, \q
    sub t0, t0, a3
    addi a7, t0, -127
    j 9f
7:  li a7, -128
    j 9f
8:  li a7, 127
9:  sb a7, \at(s10)
    .endm

    .macro requantize_a sum
    requantize \sum, s2, s3, s4, s8, 0
    .endm

    .macro requantize_b sum
    requantize \sum, s5, s6, s7, s9, 1
    .endm

    .macro tile size
    .section .text.le_tile_\size\()_lanes_s8, "ax", %progbits
    .global le_tile_\size\()_lanes_s8
    .type le_tile_\size\()_lanes_s8, %function
    .balign 4
/* a0: u of the tile in the strip, a1: table, a2: output, a3: the arguments, as in the C */
le_tile_\size\()_lanes_s8:
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
    sw a0, STRIP(sp)
    sw a1, TABLE(sp)
    sw a2, OUTPUT(sp)
    lw a2, 0(a3)
    lw t0, 4(a3)
    lw t1, 8(a3)
    lw t2, 12(a3)
    lw t3, 16(a3)
    sw t0, WEIGHTS_BYTES(sp)
    sw t1, PLANE(sp)
    sw t2, POOLED(sp)
    sw t3, CHANNELS(sp)
1:  lw a0, STRIP(sp)
    lw a1, TABLE(sp)
    lw ra, WEIGHTS_BYTES(sp)
    addi a1, a1, 8
    add ra, ra, a1
    li t1, 0
    li t2, 0
    li t3, 0
    li t4, 0
    li t5, 0
    li t6, 0
    li s0, 0
    li s1, 0
2:  channel_\size
    beq a1, ra, 3f
    j 2b
3:  lower_lane t1, t2
    lower_lane t3, t4
    lower_lane t5, t6
    lower_lane s0, s1
    lw a7, TABLE(sp)
    lw s8, 0(a7)
    lw s9, 4(a7)
    lw s2, 0(a1)
    lw s3, 4(a1)
    lw s4, 8(a1)
    lw s5, 12(a1)
    lw s6, 16(a1)
    lw s7, 20(a1)
    addi a1, a1, 24
    sw a1, TABLE(sp)
    lw s10, OUTPUT(sp)
    lw s11, CHANNELS(sp)
    lw a5, POOLED(sp)
    beqz a5, 5f
    larger t1, t3
    larger t5, s0
    larger t1, t5
    requantize_a t1
    addi s11, s11, -1
    beqz s11, 6f
    larger t2, t4
    larger t6, s1
    larger t2, t6
    requantize_b t2
4:  addi s11, s11, -1
    beqz s11, 6f
    sw s11, CHANNELS(sp)
    lw s10, OUTPUT(sp)
    addi s10, s10, 2
    sw s10, OUTPUT(sp)
    j 1b

5:  lw a6, PLANE(sp) /* without pooling: four positions */
    requantize_a t1
    requantize_b t2
    add s10, s10, a6
    requantize_a t3
    requantize_b t4
    add s10, s10, a6
    requantize_a t5
    requantize_b t6
    add s10, s10, a6
    requantize_a s0
    requantize_b s1
    addi s11, s11, -1
    beqz s11, 6f
    j 4b
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
    .size le_tile_\size\()_lanes_s8, . - le_tile_\size\()_lanes_s8
    .endm

    tile 1
    tile 3
    tile 5
