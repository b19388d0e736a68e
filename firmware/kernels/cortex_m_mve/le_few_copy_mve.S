/* void le_few_copy_mve_s8(const int8_t *from, int8_t *to, uint32_t bytes, uint32_t rows, uint32_t from_step,
 *                         uint32_t to_step): rows of one byte at least, one row at least. */
/* void le_few_fill_mve_s8(int8_t *to, uint32_t bytes, int8_t value): one byte at least. */
    .syntax unified
    .thumb
    .section .text.le_few_copy_mve_s8, "ax", %progbits
    .global le_few_copy_mve_s8
    .type le_few_copy_mve_s8, %function
    .thumb_func
    .balign 4
le_few_copy_mve_s8:
    push {r4-r7, lr}
    ldrd r4, r5, [sp, #20]
.Lrow:
    mov r6, r0
    mov r7, r1
    dlstp.8 lr, r2
.Lbytes:
    vldrb.8 q0, [r6], #16
    vstrb.8 q0, [r7], #16
    letp lr, .Lbytes
    add r0, r0, r4
    add r1, r1, r5
    subs r3, r3, #1
    bne .Lrow
    pop {r4-r7, pc}
    .size le_few_copy_mve_s8, . - le_few_copy_mve_s8

    .section .text.le_few_fill_mve_s8, "ax", %progbits
    .global le_few_fill_mve_s8
    .type le_few_fill_mve_s8, %function
    .thumb_func
    .balign 4
le_few_fill_mve_s8:
    push {r4, lr}
    vdup.8 q0, r2
    dlstp.8 lr, r1
.Lfill:
    vstrb.8 q0, [r0], #16
    letp lr, .Lfill
    pop {r4, pc}
    .size le_few_fill_mve_s8, . - le_few_fill_mve_s8
