/* Four positions of a convolution by all its outputs where an output has 16 inputs at most: what four positions see
 * stays in registers while all channels pass. The lanes of a vector of sums are the positions of one channel, so that
 * its multiplier and shift are scalars.
 *
 * void LE_NAME(const le_mve_few_matrix *matrix, const le_mve_few_block *block)
 *
 * Table: uint8 [16], where the inputs of a window are, from its first one on, 0 for those that it does not have. Then
 * for each group of four channels first 0 and 2, then 1 and 3, so that narrowing brings them into order; of such a
 * pair, A and B: int8 [2][16] weights, 0 beyond the inputs, then words in the order of the registers that take
 * them: A's bias, multiplier, bias, bias, shift, bias; B's multiplier, bias, shift, bias; ending; B's bias, bias.
 * There are no shifts on the tie-free grid. The last group begins with channels of the one before if it has fewer than
 * four; if there are fewer than four of all, the last channel again, whose output is then stored several times.
 * ending: the lower half is the zero point, or 0x80 if that is -128; in the second pair bits 16 to 30 are how many bytes
 * further the next group's outputs are, behind the last group those of the next positions, and bit 31 is set there.
 *
 * Sixteen outputs take 37 instructions on the tie-free grid and 53 with TFLM's rounding, or 42 if the output's zero
 * point is -128; four positions take 14 more, 20 where they may be in two rows. A group of four channels is stored as
 * words where the output is aligned and the channels are multiples of four; else as bytes, which takes 5 more, or 14
 * where more than 84 channels are too far apart for offsets of 8 bits.
 *
 * Requantisation: TFLM's is that of le_requantize_mve.h, with -shift alone in its word. |sum| is 16 * 128 * 128 at
 * most, and n, with the bias, an int32, as for all kernels. VQRDMULH saturates only where n = m = -2^31, and m is not
 * negative. With a zero point of -128 the outputs are what is above it, saturated to 8 bits without a sign; adding
 * 0x80 to a byte subtracts 128. On the tie-free grid VQDMULH gives floor(2 n m / 2^32) with m = round(2^30 / q): 2m is
 * the even number next to 2^32 / 2q, 1 away at most, so that 2 n m / 2^32 is at most |n| / 2^32 away from n / 2q. That
 * is less than 1 / 2q while |n| < 256 * 2q, since (2q)^2 < 2^24; n being odd, n / 2q is at least 1 / 2q away from the
 * integers around it, so that the floor is the same. A larger |n| gives at least 255 or at most -256, because the
 * product is monotone, and is saturated.
 *
 * Registers: sums r0 to r6 of A, r8 to lr of B, even ones; r1, r7 multipliers, r5, r9 shifts, r11 ending, r3 table; q0
 * to q3 inputs, q4 and q5 weights, then sums, q6 outputs of the first pair, q7 the addresses of outputs. */
#include "le_pairs_layout_mve.h"

    .syntax unified
    .thumb

    .equ FEW_TABLE, 4

    /* On the stack, first what a quad begins with, in the order of its registers. */
    .equ TABLE, 12
    .equ INPUTS, 16 /* the addresses of the four positions' */
    .equ QUADS, 32  /* left */
    .equ STEPS, 36  /* from four positions to the next, in bytes: of inputs; of outputs, from behind their channels */
    .equ LEFT, 44   /* positions from each of the four to the end of its row */
    .equ OFFSETS, 60
    .equ OUTPUT, 76 /* where a group's bytes are stored; 0 if they have addresses of 32 bits */
    .equ FRAME, 80
    .equ MOST_NEAR, 84 /* channels of which four positions' are 255 bytes apart at most */

#ifdef LE_DOUBLE_ROUNDING
    .macro load_words
    ldm r3!, {r0, r1, r2, r4, r5, r6, r7, r8, r9, r10, r11, r12, lr}
    .endm
    .macro multiply n, m
    vqrdmulh.s32 \n, \n, \m
    .endm
    .macro shift n, s
    vrshl.s32 \n, \s
    .endm
#else
    .macro load_words
    ldm r3!, {r0, r1, r2, r4, r6, r7, r8, r10, r11, r12, lr}
    .endm
    .macro multiply n, m
    vqdmulh.s32 \n, \n, \m
    .endm
    .macro shift n, s
    .endm
#endif

    /* Halves away from zero: less one where it is negative. */
#if defined(LE_DOUBLE_ROUNDING) && !defined(LE_FROM_ZERO_UP)
    .macro less_one
    mov r0, #-1
    vpt.s32 lt, q4, zr
    vaddt.i32 q4, q4, r0
    vpt.s32 lt, q5, zr
    vaddt.i32 q5, q5, r0
    .endm
    .macro narrow
    vqadd.s16 q6, q6, r11
    vqadd.s16 q4, q4, r11
    vqmovnb.s16 q6, q6
    vqmovnt.s16 q6, q4
    .endm
#elif defined(LE_FROM_ZERO_UP)
    .macro less_one
    .endm
    .macro narrow
    vqmovunb.s16 q6, q6
    vqmovunt.s16 q6, q4
    vadd.i8 q6, q6, r11
    .endm
#else
    .macro less_one
    .endm
    .macro narrow
    vqmovnb.s16 q6, q6
    vqmovnt.s16 q6, q4
    .endm
#endif

    /* Two channels of four positions, as int16, to \to. */
    .macro pair to
    vldm r3!, {d8-d11}
    load_words
    vmladava.s8 r0, q0, q4
    vmladava.s8 r8, q0, q5
    vmladava.s8 r2, q1, q4
    vmladava.s8 r10, q1, q5
    vmladava.s8 r4, q2, q4
    vmladava.s8 r12, q2, q5
    vmladava.s8 r6, q3, q4
    vmladava.s8 lr, q3, q5
    push {r0, r2, r4, r6, r8, r10, r12, lr}
    vpop {d8-d11}
    multiply q4, r1
    multiply q5, r7
    less_one
    shift q4, r5
    shift q5, r9
    vqmovnb.s32 \to, q4
    vqmovnt.s32 \to, q5
    .endm

    /* Four channels: to q6, in order. */
    .macro group
    pair q6
    pair q4
    narrow
    .endm

    /* The inputs of four positions; where the next four are. r0 0: in the same row. */
    .macro load which
.Lload\which:
    vldrw.32 q4, [sp, #OFFSETS]
    vldrw.32 q5, [sp, #INPUTS]
    vldrb.u8 q0, [r4, q4]
    vldrb.u8 q1, [r5, q4]
    vadd.i32 q5, q5, r9
    vldrb.u8 q2, [r6, q4]
    vldrb.u8 q3, [r7, q4]
    cbz r0, .Lrow\which
    vldrw.32 q4, [sp, #LEFT]
    vsub.i32 q4, q4, r2
    vptt.s32 le, q4, zr
    vaddt.i32 q5, q5, r1
    vaddt.i32 q4, q4, r0
    vstrw.32 q4, [sp, #LEFT]
.Lrow\which:
    vstrw.32 q5, [sp, #INPUTS]
    vadd.i32 q7, q7, r10
.Lgroup\which:
    .endm

    .macro next which
    ldm sp, {r0-r10}
    subs r8, r8, #1
    str r8, [sp, #QUADS]
    bne .Lload\which
    .endm

    begin LE_NAME
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, #FRAME
    ldm r1, {r4, r5, r6, r7, r8, r9, r11} /* input, step, last, width, jump, quads, output */
    ldr r3, [r0, #FEW_TABLE]
    ldrh r0, [r0] /* channels */
    vldrw.32 q0, [r3], #16
    vstrw.32 q0, [sp, #OFFSETS]
    movs r2, #0
    vidup.u32 q0, r2, #1 /* and r2 becomes 4 */
    vdup.32 q1, r6
    vmin.u32 q0, q0, q1
    vmul.i32 q1, q0, r5
    vmul.i32 q7, q0, r0
    vadd.i32 q1, q1, r4
    vadd.i32 q7, q7, r11
    vdup.32 q2, r7
    vsub.i32 q2, q2, q0
    vstrw.32 q1, [sp, #INPUTS]
    vstrw.32 q2, [sp, #LEFT]
    add r10, r0, r0, lsl #1
    vsub.i32 q7, q7, r10
    lsl r5, r5, #2
    strd r7, r8, [sp]
    strd r2, r3, [sp, #TABLE - 4]
    strd r9, r5, [sp, #QUADS]
    str r10, [sp, #STEPS + 4]
    orr r12, r11, r0
    lsls r12, r12, #30
    bne .Lbytes
    ldm sp, {r0-r10}
    vsub.i32 q7, q7, r2 /* VSTRW adds 4 first */
    load
    group
    vstrw.32 q6, [q7, #4]!
    cmp r11, #0
    bpl .Lgroup
    next
.Ldone:
    add sp, #FRAME
    vpop {d8-d15}
    pop {r4-r11, pc}
.Lbytes: /* r0 channels, r6 number of the last position, r11 output */
    movs r1, #0
    cmp r0, #MOST_NEAR
    bhi .Lfar
    movs r2, #0
    vidup.u8 q2, r2, #1
    vshr.u8 q3, q2, #2 /* position */
    vshl.i8 q4, q3, #2
    vsub.i8 q2, q2, q4 /* channel */
    subs r1, r0, #1
    vdup.8 q4, r1
    vmin.u8 q2, q2, q4
    vdup.8 q4, r6
    vmin.u8 q3, q3, q4
    vmul.i8 q7, q3, r0
    vadd.i8 q7, q7, q2
    mov r1, r11
    mov r10, #0
    b .Lnear
.Lfar:
    vadd.i32 q7, q7, r10
    mov r10, r1
.Lnear:
    str r1, [sp, #OUTPUT]
    str r10, [sp, #STEPS + 4]
    ldm sp, {r0-r10}
    load _any
    group
    ldr r0, [sp, #OUTPUT]
    ubfx r1, r11, #16, #15
    cbz r0, .Laddresses
    vstrb.8 q6, [r0, q7]
    add r0, r0, r1
    str r0, [sp, #OUTPUT]
.Lstored:
    cmp r11, #0
    bpl .Lgroup_any
    next _any
    b .Ldone
.Laddresses:
    .rept 3
    vstrb.32 q6, [r0, q7]
    vshr.u32 q6, q6, #8
    adds r0, #1
    .endr
    vstrb.32 q6, [r0, q7]
    vadd.i32 q7, q7, r1
    b .Lstored
    .size LE_NAME, . - LE_NAME
