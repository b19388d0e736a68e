/* A row of pooling windows of a convolution 5 x 5 with one input channel.
 *
 * void le_one_row_mve_s8(const le_mve_row *row, const int8_t *band, int32_t *sums, int8_t *output)
 *
 * Three channels at a time, whose weights stay in six vectors. The band has [column][6 rows]: the inputs of a position
 * are 30 contiguous bytes, of which every sixth has weight 0, and those of the position below it begin one byte
 * further. A position costs 2 loads, 6 VMLADAVA and 1.5 stores for its 75 products; two windows, 77 instructions for
 * 600. With the band and the outputs that makes 0.18 per product for six channels.
 *
 * sums: int32 [upper left, upper right, lower left, lower right][3 channels][16 windows]. Outputs are made of eight
 * windows of a channel at once: two vectors of four, which overlap where the row is shorter than 16.
 *
 * Table: uint16 [2][8], of the two eights the offsets in the output, in the order A0, B0, A1, B1, ...; where in a
 * channel's sums the vectors B of the first eight, A and B of the second begin, in bytes; then for each group of three
 * channels, the last one filled up with zeros: weights int8 [3][32], [6 * column + row] of the kernel;
 * the requantization of each.
 *
 * Registers: r1 band, r3 sums, r5 table, r7 channels left, r9 pairs of windows, r10 the table's beginning, r11 output;
 * sums in r0 to r10, even ones; q0 to q5 weights, q6 and q7 inputs. */
#include "le_requantize_mve.h"

    .syntax unified
    .thumb

    .equ PLANE, 192  /* bytes of sums of the three channels at one of the four positions */
    .equ CHANNEL, 64 /* of these, of one channel */

    /* On the stack. */
    .equ BAND, 0
    .equ SUMS, 4
    .equ TABLE, 8

    /* Three channels' sums of the position whose inputs begin at `at` */
    .macro position a, b, c
    vmladav.s8 \a, q6, q0
    vmladav.s8 \b, q6, q2
    vmladav.s8 \c, q6, q4
    vmladava.s8 \a, q7, q1
    vmladava.s8 \b, q7, q3
    vmladava.s8 \c, q7, q5
    .endm

    .macro load at
    vldrb.8 q6, [r1, #\at]
    vldrb.8 q7, [r1, #\at + 16]
    .endm

    .macro store plane
    strd r0, r6, [r3, #\plane * PLANE - 8]
    strd r2, r8, [r3, #\plane * PLANE - 8 + CHANNEL]
    strd r4, r10, [r3, #\plane * PLANE - 8 + 2 * CHANNEL]
    .endm

    /* The maxima of four windows, whose sums in the second plane are at \at. */
    .macro maxima to, by, at
    vldrw.32 \to, [\at, #-PLANE]
    vldrw.32 \by, [\at, #PLANE]
    vmax.s32 \to, \to, \by
    vldrw.32 \by, [\at, #2 * PLANE]
    vmax.s32 \to, \to, \by
    vldrw.32 \by, [\at], #CHANNEL
    vmax.s32 \to, \to, \by
    .endm

    /* Eight windows of a channel: r0, r1, q7, r3, r10 as `load_channel` has filled them. */
    .macro outputs a, b, offsets
    maxima q0, q1, \a
    maxima q2, q3, \b
    requantize_channel q0, q2, r0, r1, q7, r3, r10
    vstrb.16 q0, [r11, \offsets]
    .endm

    .section .text.le_one_row_mve_s8, "ax", %progbits
    .global le_one_row_mve_s8
    .type le_one_row_mve_s8, %function
    .thumb_func
    .balign 4
le_one_row_mve_s8:
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, #12
    ldr r5, [r0]
    ldrh r7, [r0, #4]
    ldrh r9, [r0, #6]
    mov r11, r3
    strd r1, r2, [sp, #BAND]
    str r5, [sp, #TABLE]
    adds r5, #44
.Lgroup:
    vldrw.32 q0, [r5], #16
    vldrw.32 q1, [r5], #16
    vldrw.32 q2, [r5], #16
    vldrw.32 q3, [r5], #16
    vldrw.32 q4, [r5], #16
    vldrw.32 q5, [r5], #16
    ldrd r1, r3, [sp, #BAND]
    dls lr, r9
.Ltwo_windows: /* columns 0 to 3: 0 and 2 are the left ones of the windows, 1 and 3 the right ones */
    vldrb.8 q7, [r1, #16]
    vldrb.8 q6, [r1], #24
    position r0, r2, r4
    load 12 - 24
    position r6, r8, r10
    strd r0, r6, [r3], #8
    strd r2, r8, [r3, #CHANNEL - 8]
    strd r4, r10, [r3, #2 * CHANNEL - 8]
    load 6 - 24
    position r0, r2, r4
    load 18 - 24
    position r6, r8, r10
    store 1
    load 1 - 24
    position r0, r2, r4
    load 13 - 24
    position r6, r8, r10
    store 2
    load 7 - 24
    position r0, r2, r4
    load 19 - 24
    position r6, r8, r10
    store 3
    le lr, .Ltwo_windows

    ldr r10, [sp, #TABLE]
    ldr r2, [sp, #SUMS]
    vldrh.16 q5, [r10]
    vldrh.16 q6, [r10, #16]
    ldrd r4, r6, [r10, #32]
    ldr r8, [r10, #40]
    adds r2, #PLANE
    add r4, r2
    add r6, r2
    add r8, r2
    mov r0, #3
    cmp r7, #3
    it lo
    movlo r0, r7
    dls lr, r0
.Lchannel:
    load_channel r5, r0, r1, q7, r3, r10
    outputs r2, r4, q5
    outputs r6, r8, q6
    add r11, r11, #1
    le lr, .Lchannel
    subs r7, #3
    bhi.w .Lgroup
    add sp, #12
    vpop {d8-d15}
    pop {r4-r11, pc}
    .size le_one_row_mve_s8, . - le_one_row_mve_s8
