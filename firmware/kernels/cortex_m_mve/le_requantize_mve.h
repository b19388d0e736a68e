/* Requantisation in the assembly of the kernels for MVE: macros that are of the one rounding or, where LE_DOUBLE_ROUNDING
 * is defined, of the other. n is a sum with its bias.
 *
 * Tie-free: the high multiply and the saturation of le_kernels.h. Per channel: bias, multiplier.
 *
 * Double rounding, as le_requantize_double.c has it. Per channel: bias, Q0.31 multiplier, and a word with -shift in its
 * lowest byte and the zero point in its upper half; shift is 1 to 31, to the right. VQRDMULH is the first rounding: it
 * gives x = (n m + 2^30) >> 31, and saturates only where n = m = -2^31. VRSHL of x by -shift would round half up. What is
 * meant rounds half away from zero, which for negative x is half up of x - 1: (x - 1 + 2^(shift-1)) >> shift is one less
 * exactly where x is a multiple of 2^shift and half of it. |x| <= |n|, so that x - 1 stays an int32. VQADD of int16 adds
 * the zero point to what is saturated already, by more than it can undo.
 *
 * LE_FROM_ZERO_UP: the zero point is -128, as behind a ReLU. Then what a negative x rounds to, 0 or less either way, becomes
 * -128 either way, and its rounding may be that of a positive one. */

#ifdef LE_DOUBLE_ROUNDING

    .macro load_channel table, bias, multiplier, vector, shift, zero
    ldrd \bias, \multiplier, [\table], #8
    ldr \shift, [\table], #4
    asr \zero, \shift, #16
    .endm

    .macro scale_of_channel n, multiplier, vector, shift
    vqrdmulh.s32 \n, \n, \multiplier
    vshr.s32 \vector, \n, #31
    vadd.i32 \n, \n, \vector
    vrshl.s32 \n, \shift
    .endm

    .macro add_zero_point outputs, zero
    vqadd.s16 \outputs, \outputs, \zero
    .endm

    .macro scale_eight
    vqrdmulh.s32 q0, q0, q2
    vqrdmulh.s32 q1, q1, q3
    vshr.s32 q2, q0, #31
    vshr.s32 q3, q1, #31
    vadd.i32 q0, q0, q2
    vadd.i32 q1, q1, q3
    vldm r3!, {d4-d7}
    vmov.s16 r5, q2[1]
    vrshl.s32 q0, q0, q2
    vrshl.s32 q1, q1, q3
    .endm

    .macro scale_next n, table
    vldrw.32 q5, [\table], #16
    vqrdmulh.s32 \n, \n, q5
    vshr.s32 q4, \n, #31
    vadd.i32 \n, \n, q4
    vldrw.32 q5, [\table], #16
    vrshl.s32 \n, \n, q5
    .endm

    .macro load_zero_point zero
    vmov.s16 \zero, q5[1]
    .endm

    .macro widen_bottom to, from
    vmovlb.s16 \to, \from
    .endm

    .macro widen_top to, from
    vmovlt.s16 \to, \from
    .endm

    .macro scale_four
    vqrdmulh.s32 q0, q0, q2
    vldrw.32 q1, [r3, #16]
    vshr.s32 q2, q0, #31
    vadd.i32 q0, q0, q2
    vmov.s16 r5, q1[1]
    vrshl.s32 q0, q0, q1
    .endm

    .macro scale_two
    vqrdmulh.s32 q0, q0, q3
    vqrdmulh.s32 q1, q1, q3
    vldrw.32 q2, [r3], #16
#ifndef LE_FROM_ZERO_UP
    vshr.s32 q4, q0, #31
    vshr.s32 q5, q1, #31
    vadd.i32 q0, q0, q4
    vadd.i32 q1, q1, q5
#endif
    vrshl.s32 q0, q0, q2
    vrshl.s32 q1, q1, q2
    .endm

#else

    .macro load_channel table, bias, multiplier, vector, shift, zero
    ldrd \bias, \multiplier, [\table], #8
    vdup.32 \vector, \multiplier
    .endm

    .macro scale_of_channel n, multiplier, vector, shift
    vmulh.s32 \n, \n, \vector
    .endm

    .macro add_zero_point outputs, zero
    .endm

    .macro scale_eight
    vmulh.s32 q0, q0, q2
    vmulh.s32 q1, q1, q3
    .endm

    .macro scale_next n, table
    vldrw.32 q5, [\table], #16
    vmulh.s32 \n, \n, q5
    .endm

    .macro load_zero_point zero
    .endm

    .macro widen_bottom to, from
    vshllb.s16 \to, \from, #1
    .endm

    .macro widen_top to, from
    vshllt.s16 \to, \from, #1
    .endm

    .macro scale_four
    vmulh.s32 q0, q0, q2
    .endm

    .macro scale_two
    vmulh.s32 q0, q0, q3
    vmulh.s32 q1, q1, q3
    .endm

#endif

    /* Eight sums of the channel whose registers `load_channel` has filled: their outputs to the even bytes of \a, in the
     * order a0, b0, a1, b1, ... */
    .macro requantize_channel a, b, bias, multiplier, vector, shift, zero
    vadd.i32 \a, \a, \bias
    vadd.i32 \b, \b, \bias
    scale_of_channel \a, \multiplier, \vector, \shift
    scale_of_channel \b, \multiplier, \vector, \shift
    vqmovnb.s32 \a, \a
    vqmovnt.s32 \a, \b
    add_zero_point \a, \zero
    vqmovnb.s16 \a, \a
    .endm

    /* Eight outputs of a matrix, whose sums with their biases are in q0, those of the even ones, and q1: to the even
     * bytes of q0. [r3]: int32 [4], of the even and of the odd ones: their multipliers, their third words. Changes q2,
     * q3, r5. */
    .macro requantize_eight
    vldm r3!, {d4-d7}
    scale_eight
    vqmovnb.s32 q0, q0
    vqmovnt.s32 q0, q1
    add_zero_point q0, r5
    vqmovnb.s16 q0, q0
    .endm

    /* Four, whose sums with their biases are in q0: to each fourth byte of it. [r3]: int32 [4], multipliers, third
     * words. Changes q1, q2, r5. */
    .macro requantize_four
    vldrw.32 q2, [r3]
    scale_four
    vqmovnb.s32 q0, q0
    add_zero_point q0, r5
    vqmovnb.s16 q0, q0
    .endm

    /* 16 outputs, whose sums are in q0 to q3: of the channels 0, 4, 8, 12; 2, 6, 10, 14; 1, 5, 9, 13; 3, 7, 11, 15. Their
     * outputs to q0, in order. [\table]: for each of the four vectors int32 [4], bias, multiplier, third word. Changes q4,
     * q5. */
    .macro requantize_sixteen table, zero
    .irp n, q0, q1, q2, q3
    vldrw.32 q4, [\table], #16
    vadd.i32 \n, \n, q4
    scale_next \n, \table
    .endr
    load_zero_point \zero
    vqmovnb.s32 q0, q0
    vqmovnt.s32 q0, q1
    vqmovnb.s32 q2, q2
    vqmovnt.s32 q2, q3
    add_zero_point q0, \zero
    add_zero_point q2, \zero
    vqmovnb.s16 q0, q0
    vqmovnt.s16 q0, q2
    .endm

    /* The outputs of four channels at two positions, whose sums are in q0 and q1: to the even bytes of q0, in the order
     * a0, b0, a1, b1, ... [r3]: int32 [4], biases, multipliers, third words. q6: the zero point in each int16. Changes
     * q2 to q5. */
    .macro requantize_two
    vldrw.32 q2, [r3], #16
    vldrw.32 q3, [r3], #16
    vadd.i32 q0, q0, q2
    vadd.i32 q1, q1, q2
    scale_two
    vqmovnb.s32 q0, q0
    vqmovnt.s32 q0, q1
    add_zero_point q0, q6
    vqmovnb.s16 q0, q0
    .endm
