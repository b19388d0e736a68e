/* Matrix times vector: one group of eight outputs, for le_fully_connected_lanes.c. le_lanes.h has the table.
 *
 * Weights are bytes h + 64; each sum begins with -64 times the sum of u. Four inputs at a time: 4 loads of u, 32 loads of
 * weights, 32 MUL, 32 ADD, and 3 for the loop: 103 instructions for 32 MACs.
 *
 * Registers: a0 u, a1 table, a2 end of u, a3 where the sums go; t0 u, t1 weight; a4 to a7 and t3 to t6 the sums.
 */
    .section .text.le_matrix_lanes, "ax", %progbits
    .balign 4
    .global le_matrix_lanes
    .type le_matrix_lanes, %function

    .macro product at, sum
    lbu t1, \at(a1)
    mul t1, t1, t0
    add \sum, \sum, t1
    .endm

    .macro input at
    lbu t0, \at(a0)
    product 8 * \at + 0, a4
    product 8 * \at + 1, a5
    product 8 * \at + 2, a6
    product 8 * \at + 3, a7
    product 8 * \at + 4, t3
    product 8 * \at + 5, t4
    product 8 * \at + 6, t5
    product 8 * \at + 7, t6
    .endm

/* a0: u, a1: table, a2: end of u, a3: eight words, in a3[0] -64 times the sum of u -> the sums in a3, a0: table behind
 * the weights */
le_matrix_lanes:
    lw a4, 0(a3)
    mv a5, a4
    mv a6, a4
    mv a7, a4
    mv t3, a4
    mv t4, a4
    mv t5, a4
    mv t6, a4
1:  input 0
    input 1
    input 2
    input 3
    addi a0, a0, 4
    addi a1, a1, 32
    bne a0, a2, 1b
    sw a4, 0(a3)
    sw a5, 4(a3)
    sw a6, 8(a3)
    sw a7, 12(a3)
    sw t3, 16(a3)
    sw t4, 20(a3)
    sw t5, 24(a3)
    sw t6, 28(a3)
    mv a0, a1
    ret
    .size le_matrix_lanes, . - le_matrix_lanes
