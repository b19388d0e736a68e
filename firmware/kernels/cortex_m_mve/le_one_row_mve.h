/* The rows of pooling windows of a convolution 5 x 5 with one input channel.
 *
 * void le_one_rows_mve_s8(const le_mve_rows *rows)
 *
 * Three channels at a time, whose weights stay in six vectors, and one row of the convolution after the other. Its
 * band has [column][5 rows]: the inputs of a position are 25 contiguous bytes. Their first 16 are a vector, and what is
 * left is in the vector of the position after the next. So each load serves two positions: it finishes the one and
 * starts the other. Two positions take 15 instructions for their 150 products; with the bands and the outputs that makes
 * 0.15 per product for six channels.
 *
 * sums: int32 [upper, lower row of the convolution][16 windows][3 channels][left, right], where the windows of the lower row
 * end with those that there are; what is read behind them is not stored. Outputs are made of eight windows of a channel at
 * once, whose sums are gathered.
 *
 * Table: uint16 [2][8], of the windows 0 to 7 and 8 to 15 the offsets in the output, in the order A0, B0, A1, B1, ...;
 * which of the latter there are, as VPR.P0 has it; FIRST, and 1. Where there are no more than eight windows they are the
 * latter: the offsets are 0 and theirs, then come their P0, FIRST less 192, and 0. Then 0, 24, 48, 72: from one window's
 * sums to those of the next. Then for each group of three channels: weights int8 [3][2][16], [5 * column + row] of the
 * kernel, from 0 on, and from 10 on without those that the first vector has; the requantization of each; and from the
 * output of its last channel to that of the next group's first, at last in the next row. The last group may have channels
 * of the one before once more; where a layer has one or two, the others' weights are 0, and they have nothing else.
 *
 * For each row of windows first both bands get two rows of the input, with 55 instructions.
 *
 * Registers of the sums: r1 band, r3 sums, r5 table, r7 groups left, r9 where the code of a row's sums begins, r11
 * output, r12 the lower band; sums in r0 to r10, even ones; q0 to q5 weights, q6 and q7 inputs. */
#include "le_requantize_mve.h"

    .syntax unified
    .thumb

    .equ COLUMN, 5
    .equ WINDOW, 24   /* bytes of its sums in a row of the convolution */
    .equ ROW, 384     /* of all windows' */
    .equ FIRST, 352   /* from the beginning of the sums to where the offsets of gathers are counted from */
    .equ PAIRS, 8     /* of windows in a row, at most */
    .equ PAIR_BYTES, 120 /* of the code of their sums */

    /* Of le_mve_rows, behind what is copied. */
    .equ OF_SUMS, 48
    .equ OF_OUTPUT, 56
    .equ OF_PAIRS, 64

    /* On the stack: the first twelve words of le_mve_rows, those up to Y changing for each row of windows. */
    .equ Y, 16
    .equ COPIED, 48
    .equ SUMS, 48    /* the addresses of the upper and the lower row's */
    .equ BANDS, 56   /* theirs */
    .equ TABLE, 64   /* of the first group; groups */
    .equ ENTRY, 72   /* what becomes r9 */
    .equ OUTPUTS, 76 /* the code of three channels' outputs */
    .equ LATTER, 80  /* P0 of the latter windows */
    .equ COUNT, 84   /* channels of a group; whether there are more than eight windows */
    .equ PLACES, 96  /* offsets in the output, of gathers */
    .equ COLUMNS, 144 /* uint8 0, 5, 10, ...: where 16 pixels of a row belong */
    .equ FRAME, 160

    /* The first and the last 16 pixels of the row r4 of the input, which is at r3, to q0 and q1; padding at r10
     * outside the input. r6 width, r7 height, r8 from the first to the last pixels. */
    .macro load_line
    cmp r4, r7
    csel lr, r3, r10, lo
    add r5, lr, r8
    vpstt
    vldrbt.8 q0, [lr]
    vldrbt.8 q1, [r5]
    .endm

    .macro next_line
    add r3, r3, r6
    adds r4, #1
    .endm

    /* These to a band, and padding to the column on their left, which was this column before. r9 is COLUMN * r8, r12 the
     * padding's value. */
    .macro put to
    strb r12, [\to, #-COLUMN]
    add r5, \to, r9
    vpstt
    vstrbt.8 q0, [\to, q7]
    vstrbt.8 q1, [r5, q7]
    adds \to, #1
    .endm

    .macro start
    vmladav.s8 r0, q6, q0
    vmladav.s8 r2, q7, q0
    vmladav.s8 r4, q6, q2
    vmladav.s8 r6, q7, q2
    vmladav.s8 r8, q6, q4
    vmladav.s8 r10, q7, q4
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

    /* The maxima of four windows of a channel, from the \first on. */
    .macro maxima to, by, first, channel
    vldrw.u32 \to, [q7, #\first * WINDOW + 8 * \channel - FIRST]
    vldrw.u32 \by, [q7, #\first * WINDOW + 8 * \channel - FIRST + 4]
    vmax.s32 \to, \to, \by
    vldrw.u32 \by, [q7, #\first * WINDOW + 8 * \channel - FIRST + ROW]
    vmax.s32 \to, \to, \by
    vldrw.u32 \by, [q7, #\first * WINDOW + 8 * \channel - FIRST + ROW + 4]
    vmax.s32 \to, \to, \by
    .endm

    /* Eight windows of a channel, to q0: r0, r1, q4, r3, r10 as `load_channel` has filled them. */
    .macro outputs first, channel
    maxima q0, q1, \first, \channel
    maxima q2, q3, (\first + 4), \channel
    requantize_channel q0, q2, r0, r1, q4, r3, r10
    .endm

    .macro outputs_of_channel channel
    load_channel r5, r0, r1, q4, r3, r10
    outputs 0, \channel
    vstrb.16 q0, [r11, q5]
    outputs 8, \channel
    vpst
    vstrbt.16 q0, [r11, q6]
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
    vldm r0, {d0-d5}
    vstm sp, {d0-d5}
    ldrd r1, r2, [r0, #OF_SUMS]
    add r3, r1, #ROW
    strd r1, r3, [sp, #SUMS]
    ldrd r11, r6, [r0, #OF_OUTPUT]
    ldr r7, [r0, #OF_PAIRS]
    vldm r2!, {d0-d3}
    ldrd r3, r4, [r2], #8
    ldr r5, [r2], #4
    vldrw.32 q2, [r2], #16
    add r1, r4
    vadd.i32 q2, q2, r1
    movs r0, #0
    vidup.u8 q3, r0, #1
    movs r1, #COLUMN
    vmul.i8 q3, q3, r1
    add r0, sp, #PLACES
    vstm r0, {d0-d7}
    str r3, [sp, #LATTER]
    movs r0, #3
    cmp r6, r0
    csel r0, r6, r0, lo /* channels of a group */
    strd r0, r5, [sp, #COUNT]
    adr.w r3, .Lsome
    adr.w r4, .Lthree
    cmp r0, #3
    csel r4, r4, r3, eq
    cmp r5, #0
    csel r4, r4, r3, ne
    orr r4, r4, #1
    adr.w r3, .Lsums_end
    mov r0, #PAIR_BYTES
    mls r3, r7, r0, r3
    orr r3, r3, #1
    strd r3, r4, [sp, #ENTRY]
    adds r6, #2
    movs r0, #3
    udiv r6, r6, r0
    strd r2, r6, [sp, #TABLE]
.Lrow:
    ldm sp, {r0-r10, r12}
    vldrw.32 q7, [sp, #COLUMNS]
    vctp.8 r6
    load_line
    put r1
    next_line
    load_line
    put r1
    put r2
    next_line
    load_line
    put r2
    stm sp, {r0-r4}
    subs r1, r1, r0
    subs r2, r2, r0
    strd r1, r2, [sp, #BANDS]
    ldrd r5, r7, [sp, #TABLE]
    ldr r9, [sp, #ENTRY]
.Lgroup:
    vldm r5!, {d0-d11}
    ldrd r1, r12, [sp, #BANDS]
    ldr r3, [sp, #SUMS]
    vldrb.8 q6, [r1]
    vldrb.8 q7, [r1, #COLUMN]
    blx r9
    mov r1, r12
    ldr r3, [sp, #SUMS + 4]
    vldrb.8 q6, [r1]
    vldrb.8 q7, [r1, #COLUMN]
    blx r9
    add r10, sp, #PLACES
    vldm r10, {d10-d15}
    vldr P0, [sp, #LATTER]
    ldr pc, [sp, #OUTPUTS]
    .balign 4
.Lthree:
    outputs_of_channel 0
    adds r11, #1
    outputs_of_channel 1
    adds r11, #1
    outputs_of_channel 2
.Lnext:
    ldr r6, [r5], #4
    add r11, r6
    subs r7, #1
    bne.w .Lgroup
    ldrd r0, r1, [sp, #Y]
    cmp r0, r1
    bne.w .Lrow
    add sp, #FRAME
    vpop {d8-d15}
    pop {r4-r11, pc}

    /* One after the other: fewer channels, or windows. */
    .balign 4
.Lsome:
    ldrd r6, r2, [sp, #COUNT]
    movs r4, #8
    dls lr, r6
1:
    load_channel r5, r0, r1, q4, r3, r10
    cbz r2, 2f
    outputs 0, 0
    vstrb.16 q0, [r11, q5]
2:
    outputs 8, 0
    vpst
    vstrbt.16 q0, [r11, q6]
    vadd.i32 q7, q7, r4
    adds r11, #1
    le lr, 1b
    subs r11, #1
    b.w .Lnext
    .size le_one_rows_mve_s8, . - le_one_rows_mve_s8

    /* Three channels' sums of a row of the convolution, from the band at r1, of which the first two positions are in q6
     * and q7, to r3. It is entered where as many pairs of windows are left as a row has. */
    .type le_sums_of_row_mve, %function
    .thumb_func
    .balign 4
le_sums_of_row_mve:
    .rept PAIRS
    start
    vldrb.8 q6, [r1, #2 * COLUMN]
    vldrb.8 q7, [r1, #3 * COLUMN]
    finish
    start
    vldrb.8 q7, [r1, #5 * COLUMN]
    vldrb.8 q6, [r1, #4 * COLUMN]!
    finish
    .endr
.Lsums_end:
    .if .Lsums_end - le_sums_of_row_mve != PAIRS * PAIR_BYTES
    .error "the code of a pair of windows is not PAIR_BYTES long"
    .endif
    bx lr
    .size le_sums_of_row_mve, . - le_sums_of_row_mve
