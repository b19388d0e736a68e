/* le_largest_2x2_compact for RV32E: a0 layer, a1 table, a2 patch, a3 below, a4 sum; see le_patches_compact.h. As in
 * le_sum_rv32e.S, but each digit is for four sums: s0, s1, a4, a5. Nobody needs tp: there are no threads. */
#ifdef __riscv_32e
#define RUN 20 /* offsets in le_compact_conv2d */
#define RIGHT 22
#define WINDOW_H 24
#define DIGITS 35

    .section .text.le_largest_2x2_compact, "ax"
    .globl le_largest_2x2_compact
    .type le_largest_2x2_compact, @function
le_largest_2x2_compact:
    addi sp, sp, -36
    sw s0, 0(sp)
    sw s1, 4(sp)
    sw ra, 8(sp)
    sw a4, 12(sp)
    sw a2, 16(sp)
    sw a0, 32(sp)
    lbu a5, DIGITS(a0)
    sw a5, 20(sp)           /* digits left */
    lhu t1, RIGHT(a0)
    mv a0, a1
    mv a2, a3
    lui t2, 0x40000
    li s0, 0
    li s1, 0
    li a4, 0
    li a5, 0

.Ldigit_of_all:
    slli a3, s0, 1
    add s0, s0, a3
    slli a3, s1, 1
    add s1, s1, a3
    slli a3, a4, 1
    add a4, a4, a3
    slli a3, a5, 1
    add a5, a5, a3
    lw a3, 32(sp)
    lw a1, 16(sp)
    lbu t0, WINDOW_H(a3)
    lhu a3, RUN(a3)
.Lrow:
    sw t0, 24(sp)           /* rows left */
    add a3, a3, a1
    sw a3, 28(sp)           /* the row's end */
.Lbyte:
    lbu t0, 0(a0)
    addi a0, a0, 1
    slli t0, t0, 22
    addi ra, a1, 5
.Ldigit:
    slli a3, t0, 1
    add t0, t0, a3
    bltu t0, t2, .Lzero
    sub t0, t0, t2
    lb a3, 0(a1)
    add tp, a1, t1
    bgeu t0, t2, .Lminus
    add s0, s0, a3
    lb a3, 0(tp)
    add tp, a1, a2
    add s1, s1, a3
    lb a3, 0(tp)
    add tp, tp, t1
    add a4, a4, a3
    lb a3, 0(tp)
    add a5, a5, a3
.Lzero:
    addi a1, a1, 1
    bne a1, ra, .Ldigit
    lw a3, 28(sp)
    bltu a1, a3, .Lbyte
    lw a1, 32(sp)
    lw t0, 24(sp)
    lhu tp, RUN(a1)
    addi t0, t0, -1
    sub a1, a3, tp
    add a1, a1, a2
    mv a3, tp
    bnez t0, .Lrow
    lw a3, 20(sp)
    addi a3, a3, -1
    sw a3, 20(sp)
    bnez a3, .Ldigit_of_all

    bge s0, s1, 1f
    mv s0, s1
1:  bge s0, a4, 2f
    mv s0, a4
2:  bge s0, a5, 3f
    mv s0, a5
3:  lw a3, 12(sp)
    sw s0, 0(a3)
    lw s0, 0(sp)
    lw s1, 4(sp)
    lw ra, 8(sp)
    addi sp, sp, 36
    ret

.Lminus:
    sub t0, t0, t2
    sub s0, s0, a3
    lb a3, 0(tp)
    add tp, a1, a2
    sub s1, s1, a3
    lb a3, 0(tp)
    add tp, tp, t1
    sub a4, a4, a3
    lb a3, 0(tp)
    sub a5, a5, a3
    j .Lzero
    .size le_largest_2x2_compact, . - le_largest_2x2_compact
#endif
