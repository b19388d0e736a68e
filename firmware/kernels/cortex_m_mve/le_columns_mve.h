/* The loop of le_conv2d_columns_mve.c, made for a layer's sizes: MVE loads step through an input by constants only.
 *
 * A column is ten positions of the convolution above each other. It is passed twice: down its 14 rows of input with the
 * first 16 bytes of each row of the kernel, up with the last 16 (what lies in both counts once: the other weight is 0).
 * The five vectors of weights stay in registers, so that a row costs one load for up to five VMLADAVA; ten of the
 * weights' vectors are needed and seven fit, so that three are loaded between the passes. The next column begins with
 * what the one before ended with. Its ten sums take eight registers: the first two wait in memory for the second pass,
 * and the last two are stored in front of the others.
 *
 * Per column 134 instructions for 100 VMLADAVA, 1,500 products with six input channels; 0.10 per product in all.
 *
 * Table of an output channel: weights int8 [10][16]: of rows 0, 1, 2 the last, then the first bytes; of rows 3, 4 the
 * first, then the last bytes. Then its requantization.
 *
 * Registers: sums r0 to lr, even ones; r1 input, r3 and r5 sums in memory of even and odd columns, r7 table, from rows 0
 * to 2's first bytes on, r11 their last, r9 pairs of columns left; q0 to q6 weights, q7 input. [sp]: the strip. */
#ifndef LE_COLUMNS_MVE_H
#define LE_COLUMNS_MVE_H

#include "le_mve.h"

#define LE_TEXT_OF(value) #value
#define LE_TEXT(value) LE_TEXT_OF(value)

#define LE_LOAD_MVE(step) "vldrb.8 q7, [r1], #" step "\n\t"
#define LE_FIRST_MVE(sum, weights) "vmladav.s8 " sum ", q7, " weights "\n\t"
#define LE_NEXT_MVE(sum, weights) "vmladava.s8 " sum ", q7, " weights "\n\t"

/* What a row of input adds to the positions that see it: the rows 0 to 4 of the kernel. */
#define LE_04_MVE(op, w3, w4, s0, s1, s2, s3, s4) LE_03_MVE(op, w3, s0, s1, s2, s3) LE_NEXT_MVE(s4, w4)
#define LE_03_MVE(op, w3, s0, s1, s2, s3) LE_02_MVE(op, s0, s1, s2) LE_NEXT_MVE(s3, w3)
#define LE_02_MVE(op, s0, s1, s2) LE_01_MVE(op, s0, s1) LE_NEXT_MVE(s2, "q2")
#define LE_01_MVE(op, s0, s1) op(s0, "q0") LE_NEXT_MVE(s1, "q1")
#define LE_14_MVE(w3, w4, s1, s2, s3, s4) LE_NEXT_MVE(s1, "q1") LE_24_MVE(w3, w4, s2, s3, s4)
#define LE_24_MVE(w3, w4, s2, s3, s4) LE_NEXT_MVE(s2, "q2") LE_34_MVE(w3, w4, s3, s4)
#define LE_34_MVE(w3, w4, s3, s4) LE_NEXT_MVE(s3, w3) LE_NEXT_MVE(s4, w4)

#define LE_DOWN_MVE(line, last, w3, w4, sums) \
    LE_LOAD_MVE(line) LE_FIRST_MVE("r0", "q0") \
    LE_LOAD_MVE(line) LE_01_MVE(LE_FIRST_MVE, "r2", "r0") \
    LE_LOAD_MVE(line) LE_02_MVE(LE_FIRST_MVE, "r4", "r2", "r0") \
    LE_LOAD_MVE(line) LE_03_MVE(LE_FIRST_MVE, w3, "r6", "r4", "r2", "r0") \
    LE_LOAD_MVE(line) LE_04_MVE(LE_FIRST_MVE, w3, w4, "r8", "r6", "r4", "r2", "r0") \
    LE_LOAD_MVE(line) LE_04_MVE(LE_FIRST_MVE, w3, w4, "r10", "r8", "r6", "r4", "r2") \
    "strd r0, r2, [" sums ", #8]\n\t" \
    LE_LOAD_MVE(line) LE_04_MVE(LE_FIRST_MVE, w3, w4, "r12", "r10", "r8", "r6", "r4") \
    LE_LOAD_MVE(line) LE_04_MVE(LE_FIRST_MVE, w3, w4, "lr", "r12", "r10", "r8", "r6") \
    LE_LOAD_MVE(line) LE_04_MVE(LE_FIRST_MVE, w3, w4, "r0", "lr", "r12", "r10", "r8") \
    LE_LOAD_MVE(line) LE_04_MVE(LE_FIRST_MVE, w3, w4, "r2", "r0", "lr", "r12", "r10") \
    LE_LOAD_MVE(line) LE_14_MVE(w3, w4, "r2", "r0", "lr", "r12") \
    LE_LOAD_MVE(line) LE_24_MVE(w3, w4, "r2", "r0", "lr") \
    LE_LOAD_MVE(line) LE_34_MVE(w3, w4, "r2", "r0") \
    LE_LOAD_MVE(last) LE_NEXT_MVE("r2", w4)

#define LE_UP_MVE(line, last, w3, w4, sums) \
    LE_LOAD_MVE(line) LE_NEXT_MVE("r2", w4) \
    LE_LOAD_MVE(line) LE_34_MVE(w3, w4, "r2", "r0") \
    LE_LOAD_MVE(line) LE_24_MVE(w3, w4, "r2", "r0", "lr") \
    LE_LOAD_MVE(line) LE_14_MVE(w3, w4, "r2", "r0", "lr", "r12") \
    LE_LOAD_MVE(line) LE_04_MVE(LE_NEXT_MVE, w3, w4, "r2", "r0", "lr", "r12", "r10") \
    LE_LOAD_MVE(line) LE_04_MVE(LE_NEXT_MVE, w3, w4, "r0", "lr", "r12", "r10", "r8") \
    "strd r0, r2, [" sums "], #8\n\t" \
    "ldrd r0, r2, [" sums "]\n\t" \
    LE_LOAD_MVE(line) LE_04_MVE(LE_NEXT_MVE, w3, w4, "lr", "r12", "r10", "r8", "r6") \
    LE_LOAD_MVE(line) LE_04_MVE(LE_NEXT_MVE, w3, w4, "r12", "r10", "r8", "r6", "r4") \
    LE_LOAD_MVE(line) LE_04_MVE(LE_NEXT_MVE, w3, w4, "r10", "r8", "r6", "r4", "r2") \
    LE_LOAD_MVE(line) LE_04_MVE(LE_NEXT_MVE, w3, w4, "r8", "r6", "r4", "r2", "r0") \
    LE_LOAD_MVE(line) LE_03_MVE(LE_NEXT_MVE, w3, "r6", "r4", "r2", "r0") \
    LE_LOAD_MVE(line) LE_02_MVE(LE_NEXT_MVE, "r4", "r2", "r0") \
    LE_LOAD_MVE(line) LE_01_MVE(LE_NEXT_MVE, "r2", "r0") \
    LE_LOAD_MVE(last) LE_NEXT_MVE("r0", "q0") \
    "stm " sums "!, {r0, r2, r4, r6, r8, r10, r12, lr}\n\t"

/* Defines a le_channels_mve; as bytes: a line of the input, a pixel, and from the first to the last 16 of a row of the
 * kernel. */
#define LE_COLUMNS_MVE(name, line, pixel, last) \
    __attribute__((naked, noinline)) static void name(le_mve_strip *strip __attribute__((unused))) \
    { \
        __asm__ volatile("push {r4-r11, lr}\n\t" \
                         "vpush {d8-d15}\n\t" \
                         "push {r0}\n\t" \
                         "mov r11, r0\n\t" \
                         "ldr r7, [r11, #44]\n" \
                         "2:\n\t" \
                         "ldm r11, {r1, r3, r5, r9}\n\t" \
                         "mov r11, r7\n\t" \
                         "adds r7, #48\n\t" \
                         "vldm r7, {d0-d13}\n" \
                         "1:\n\t" \
                         LE_DOWN_MVE(LE_TEXT(line), LE_TEXT(last), "q3", "q4", "r3") \
                         "vldm r11, {d0-d5}\n\t" \
                         LE_UP_MVE("-" LE_TEXT(line), LE_TEXT(pixel), "q5", "q6", "r3") \
                         LE_DOWN_MVE(LE_TEXT(line), "-" LE_TEXT(last), "q5", "q6", "r5") \
                         "vldm r7, {d0-d5}\n\t" \
                         LE_UP_MVE("-" LE_TEXT(line), LE_TEXT(pixel), "q3", "q4", "r5") \
                         "subs r9, #1\n\t" \
                         "bne.w 1b\n\t" \
                         "adds r7, #112\n\t" \
                         "ldr r11, [sp]\n\t" \
                         "ldr r0, [r11, #40]\n\t" \
                         "blx r0\n\t" \
                         "bne.w 2b\n\t" \
                         "add sp, #4\n\t" \
                         "vpop {d8-d15}\n\t" \
                         "pop {r4-r11, pc}"); \
    }

#endif
