/* The rows of pooling windows of a convolution 5 x 5 with one input channel.
 *
 * void le_one_rows_mve_s8(const le_mve_rows *rows)
 *
 * Three channels at a time, whose weights stay in six vectors, and one row of the convolution after the other. Its
 * band has [column][5 rows]: the inputs of a position are 25 contiguous bytes. Their first 16 are a vector, and what is
 * left is in the vector of the position after the next. So each load serves two positions: it finishes the one and
 * starts the other. Two positions take 15 instructions for their 150 products, and two windows 62 for 600; with the
 * bands and the outputs that makes 0.16 per product for six channels.
 *
 * sums: int32 [upper, lower row of the convolution][16 windows][3 channels][left, right]. Outputs are made of eight
 * windows of a channel at once, whose sums are gathered.
 *
 * Table: uint16 [2][8], of the windows 0 to 7 and 8 to 15 the offsets in the output, in the order A0, B0, A1, B1, ...;
 * which of the latter there are, as VPR.P0 has it; FIRST, and 1. Where there are no more than eight windows they are the
 * latter: the offsets are 0 and theirs, then come their P0, FIRST less 192, and 0. Then 0, 24, 48, 72: from one window's
 * sums to those of the next. Then for each group of three channels, the last one filled up with zeros: weights int8
 * [3][2][16], [5 * column + row] of the kernel, from 0 on, and from 10 on without those that the first vector has; the
 * requantization of each.
 *
 * For each row of windows first both bands get two rows of the input, with 60 instructions.
 *
 * Registers of the sums: r1 band, r3 sums, r5 table, r7 channels left, r9 pairs of windows, r11 output, r12 the lower
 * band; sums in r0 to r10, even ones; q0 to q5 weights, q6 and q7 inputs. */
#include "le_requantize_mve.h"

    .syntax unified
    .thumb

    .equ COLUMN, 5
    .equ WINDOW, 24   /* bytes of its sums in a row of the convolution */
    .equ ROW, 384     /* of all windows' */
    .equ FIRST, 352   /* from the beginning of the sums to where the offsets of gathers are counted from */

    /* On the stack: the le_mve_rows, of which some members change, and what `put` needs. */
    .equ BANDS, 0
    .equ SUMS, 8
    .equ TABLE, 12
    .equ LINE, 16
    .equ PADDING, 24
    .equ HEIGHT, 32
    .equ LAST_COLUMN, 40
    .equ PADDING_VALUE, 48
    .equ ROWS_LEFT, 52
    .equ OUTPUT, 56
    .equ CHANNELS, 64
    .equ PAIRS, 68
    .equ COLUMNS, 80 /* uint8 0, 5, 10, ...: where 16 pixels of a row belong */
    .equ FRAME, 96

    /* The first and the last 16 pixels of the row r4 of the input, which is at r8, to q0 and q1; padding at r10
     * outside the input. r2 width, r6 height, r3 from the first to the last pixels. */
    .macro load_line
    cmp r4, r6
    csel lr, r8, r10, lo
    add r11, lr, r3
    vpstt
    vldrbt.8 q0, [lr]
    vldrbt.8 q1, [r11]
    .endm

    .macro next_line
    add r8, r8, r2
    adds r4, #1
    .endm

    /* These to a band, and padding to the column on their left, which was this column before. r9 is COLUMN * r3, r7 the
     * padding's value. */
    .macro put to
    strb r7, [\to, #-COLUMN]
    add r11, \to, r9
    vpstt
    vstrbt.8 q0, [\to, q7]
    vstrbt.8 q1, [r11, q7]
    .endm

    .macro finish
    vmladava.s8 r0, q6, q1
    vmladava.s8 r2, q7, q1
    vmladava.s8 r4, q6, q3
    vmladava.s8 r6, q7, q3
    vmladava.s8 r8, q6, q5
    vmladava.s8 r10, q7, q5
    stm r3!, {r0, r2, r4, r6, r8, r10}
    .endm

    .macro start
    vmladav.s8 r0, q6, q0
    vmladav.s8 r2, q7, q0
    vmladav.s8 r4, q6, q2
    vmladav.s8 r6, q7, q2
    vmladav.s8 r8, q6, q4
    vmladav.s8 r10, q7, q4
    .endm

    /* Three channels' sums of a row of the convolution, from the band at r1 to r3. */
    .macro row_of_sums
    vldrb.8 q6, [r1]
    vldrb.8 q7, [r1, #COLUMN]
    start
    dls lr, r9
1:
    vldrb.8 q6, [r1, #2 * COLUMN]
    vldrb.8 q7, [r1, #3 * COLUMN]
    finish
    start
    vldrb.8 q7, [r1, #5 * COLUMN]
    vldrb.8 q6, [r1, #4 * COLUMN]!
    finish
    start
    le lr, 1b
    .endm

    /* The maxima of four windows, from the \first on. */
    .macro maxima to, by, first
    vldrw.u32 \to, [q7, #\first * WINDOW - FIRST]
    vldrw.u32 \by, [q7, #\first * WINDOW - FIRST + 4]
    vmax.s32 \to, \to, \by
    vldrw.u32 \by, [q7, #\first * WINDOW - FIRST + ROW]
    vmax.s32 \to, \to, \by
    vldrw.u32 \by, [q7, #\first * WINDOW - FIRST + ROW + 4]
    vmax.s32 \to, \to, \by
    .endm

    /* Eight windows of a channel, to q0: r0, r1, q4, r3, r10 as `load_channel` has filled them. */
    .macro outputs first
    maxima q0, q1, \first
    maxima q2, q3, (\first + 4)
    requantize_channel q0, q2, r0, r1, q4, r3, r10
    .endm

    .section .text.le_one_rows_mve_s8, "ax", %progbits
    .global le_one_rows_mve_s8
    .type le_one_rows_mve_s8, %function
    .thumb_func
    .balign 4
le_one_rows_mve_s8:
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, #FRAME
    .irp at, 0, 16, 32, 48, 64
    vldrw.32 q0, [r0, #\at]
    vstrw.32 q0, [sp, #\at]
    .endr
    movs r0, #0
    vidup.u8 q0, r0, #1
    movs r1, #COLUMN
    vmul.i8 q0, q0, r1
    vstrb.8 q0, [sp, #COLUMNS]
.Lrow:
    ldrd r1, r5, [sp, #BANDS]
    ldrd r8, r4, [sp, #LINE]
    ldrd r10, r2, [sp, #PADDING]
    ldrd r6, r3, [sp, #HEIGHT]
    ldrd r9, r12, [sp, #LAST_COLUMN]
    ldr r7, [sp, #PADDING_VALUE]
    vldrb.8 q7, [sp, #COLUMNS]
    vctp.8 r2
    add r1, r12
    add r5, r12
    load_line
    put r1
    next_line
    adds r1, #1
    load_line
    put r1
    put r5
    next_line
    adds r5, #1
    load_line
    put r5
    strd r8, r4, [sp, #LINE]
    ldrd r7, r9, [sp, #CHANNELS]
    ldr r11, [sp, #OUTPUT]
    ldr r5, [sp, #TABLE]
    adds r5, #60
.Lgroup:
    vldrw.32 q0, [r5], #16
    vldrw.32 q1, [r5], #16
    vldrw.32 q2, [r5], #16
    vldrw.32 q3, [r5], #16
    vldrw.32 q4, [r5], #16
    vldrw.32 q5, [r5], #16
    ldrd r1, r12, [sp, #BANDS]
    ldr r3, [sp, #SUMS]
    row_of_sums
    ldr r3, [sp, #SUMS]
    add r3, #ROW
    mov r1, r12
    row_of_sums

    ldrd r1, r10, [sp, #SUMS]
    vldrh.u16 q5, [r10], #16
    vldrh.u16 q6, [r10], #16
    ldrd r2, r4, [r10], #8
    ldr r6, [r10], #4
    vldrw.32 q7, [r10]
    vmsr p0, r2
    add r1, r4
    vadd.i32 q7, q7, r1
    movs r4, #8
    mov r0, #3
    cmp r7, #3
    csel r0, r7, r0, lo
    dls lr, r0
.Lchannel:
    load_channel r5, r0, r1, q4, r3, r10
    cbz r6, .Lothers
    outputs 0
    vstrb.16 q0, [r11, q5]
.Lothers:
    outputs 8
    vpst
    vstrbt.16 q0, [r11, q6]
    vadd.i32 q7, q7, r4
    adds r11, #1
    le lr, .Lchannel
    subs r7, #3
    bhi.w .Lgroup
    ldrd r1, r12, [sp, #BANDS]
    adds r1, #2
    add r12, #2
    strd r1, r12, [sp, #BANDS]
    ldrd r0, r1, [sp, #OUTPUT]
    add r0, r1
    ldr r2, [sp, #ROWS_LEFT]
    subs r2, #1
    strd r2, r0, [sp, #ROWS_LEFT]
    bne.w .Lrow
    add sp, #FRAME
    vpop {d8-d15}
    pop {r4-r11, pc}
    .size le_one_rows_mve_s8, . - le_one_rows_mve_s8
