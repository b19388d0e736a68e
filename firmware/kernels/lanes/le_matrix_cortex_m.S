/* Matrix times vector: one group of eight outputs, for le_fully_connected_lanes.c. le_lanes.h has the table.
 *
 * Weights are bytes h + 64, so that LDRB takes them; each sum begins with -64 times the sum of u. Four inputs at a time:
 * 4 loads of u, 32 loads of weights, 32 MUL, 32 ADD, and 5 for the loop: 105 instructions for 32 MACs; on an M3, 73.
 *
 * Registers: r0 u, r1 table, r2 u, r3 weight, r4 end of u, r6 to r12 and lr the sums.
 */
    .syntax unified
    .thumb
    .section .text.le_matrix_lanes, "ax", %progbits
    .balign 4
    .global le_matrix_lanes
    .type le_matrix_lanes, %function
    .thumb_func

    .macro product at, sum
    ldrb r3, [r1, #\at]
#if __ARM_ARCH >= 7
    mla \sum, r3, r2, \sum
#else
    muls r3, r2
    add \sum, r3
#endif
    .endm

    .macro input at
    ldrb r2, [r0, #\at]
    product 8 * \at + 0, r6
    product 8 * \at + 1, r7
    product 8 * \at + 2, r8
    product 8 * \at + 3, r9
    product 8 * \at + 4, r10
    product 8 * \at + 5, r11
    product 8 * \at + 6, r12
    product 8 * \at + 7, lr
    .endm

/* r0: u, r1: table, r2: end of u, r3: eight words, in r3[0] -64 times the sum of u -> the sums in r3, r0: table behind
 * the weights */
le_matrix_lanes:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r3-r7}
    mov r4, r2
    ldr r6, [r3]
    mov r7, r6
    mov r8, r6
    mov r9, r6
    mov r10, r6
    mov r11, r6
    mov r12, r6
    mov lr, r6
1:  input 0
    input 1
    input 2
    input 3
    adds r0, #4
    adds r1, #32
    cmp r0, r4
    beq 2f
    b 1b
2:  mov r0, r1
    pop {r1}
    mov r2, r8
    mov r3, r9
    mov r4, r10
    mov r5, r11
    stmia r1!, {r6, r7}
    stmia r1!, {r2, r3, r4, r5}
    mov r2, r12
    mov r3, lr
    stmia r1!, {r2, r3}
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
    .size le_matrix_lanes, . - le_matrix_lanes
