/* What the assembly of le_conv2d_pairs_mve.c shares: the members of its structures; and how a function begins. */
    .equ MATRIX_OUTPUTS, 2
    .equ MATRIX_TABLE, 4
    .equ MATRIX_ZERO_POINT, 8
    .equ BLOCK_INPUT_STEP, 4
    .equ BLOCK_OUTPUTS_APART, 8
    .equ BLOCK_OUTPUT_STEP, 12
    .equ BLOCK_PAIRS, 16

    .macro begin name
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .thumb_func
    .balign 4
\name:
    .endm

    /* uint16 {0, apart, 1, apart + 1, ...}. Changes apart and even. */
    .macro offsets_of_pair to, apart, even
    movs \even, #0
    vidup.u32 \to, \even, #1
    lsl \apart, \apart, #16
    mov \even, #0x00010001
    vmul.i32 \to, \to, \even
    vadd.i32 \to, \to, \apart
    .endm
