/* le_sum_compact for RV32E: a0 table, a1 input, a2 stride, a3 run, a4 rows, a5 sum; see le_compact.h.
 * The byte lies at the bits from 22 on, so that its digit is at bit 30 after it was multiplied by three. */
#ifdef __riscv_32e
    .section .text.le_sum_compact, "ax"
    .globl le_sum_compact
    .type le_sum_compact, @function
le_sum_compact:
    addi sp, sp, -12
    sw s0, 0(sp)
    sw s1, 4(sp)
    sw ra, 8(sp)
    lw ra, 0(a5)            /* the sum */
    lui t2, 0x40000         /* 2^30: a digit of 1 */
1:  add s0, a1, a3          /* the row's end */
2:  lbu t0, 0(a0)
    addi a0, a0, 1
    slli t0, t0, 22
    addi s1, a1, 5
3:  slli t1, t0, 1
    add t0, t0, t1
    bltu t0, t2, 4f         /* 0 */
    sub t0, t0, t2
    lb t1, 0(a1)
    bgeu t0, t2, 5f         /* -1 */
    add ra, ra, t1
4:  addi a1, a1, 1
    bne a1, s1, 3b
    bltu a1, s0, 2b
    sub a1, s0, a3
    add a1, a1, a2
    addi a4, a4, -1
    bnez a4, 1b
    sw ra, 0(a5)
    lw s0, 0(sp)
    lw s1, 4(sp)
    lw ra, 8(sp)
    addi sp, sp, 12
    ret
5:  sub t0, t0, t2
    sub ra, ra, t1
    j 4b
    .size le_sum_compact, . - le_sum_compact
#endif
