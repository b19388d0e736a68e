/* From a sum to an int8, for the assembly of this folder.
 *
 * tie-free: the sum is n, the factor of a channel its multiplier; le_kernels.h says why this is enough.
 *
 * double: TFLM's rounding, as le_requantize_double.c has it. Of x = sum + bias it takes h = (x m + 2^30) >> 31, then h / 2^s
 * rounded half away from zero, and the zero point z. Here the sum is 2 x, so that SMMLAR has h = (2 x m + 2^31) >> 32, and
 * it adds the second factor, (2z + 1) 2^(s - 1), on the way: what rounds a positive h half up, and z. A negative h wants
 * one less. So may a negative x have: where h is not negative then it is 0, and its (2^s - 1) / 2, shifted by s, 0 as
 * well. s is 1 or more, and the sums fit an int32, both of which families/dsp_requantization.py makes sure of.
 *
 * point: the sum is 2^k x, and k such that 2^k x m / 2^32 has LE_DSP_FEW_POINT bits behind the point in every channel, which
 * the saturation drops. The second factor is 0 on the tie-free grid. With TFLM's rounding it rounds; that is only for
 * layers that clamp to the zero point all that is below it, so that a negative h is of no consequence. */
#ifndef LE_REQUANTIZE_DSP_H
#define LE_REQUANTIZE_DSP_H

    .macro to_int8_tie_free sum, multiplier
    smmul \sum, \sum, \multiplier
    ssat \sum, #8, \sum
    .endm

    .macro to_int8_double sum, multiplier, addend, shift, high /* `high` is any register but these, or the multiplier */
    smmlar \high, \sum, \multiplier, \addend
    add \sum, \high, \sum, asr #31
    asr \sum, \sum, \shift
    ssat \sum, #8, \sum
    .endm

    .macro to_int8_point sum, multiplier, addend
    smmla \sum, \sum, \multiplier, \addend
    ssat \sum, #8, \sum, asr #LE_DSP_FEW_POINT
    .endm

    .macro store rounding, sum, multiplier, addend, shift /* the next output, at lr; the multiplier is lost */
    .ifc \rounding, double
    to_int8_double \sum, \multiplier, \addend, \shift, \multiplier
    .else
    to_int8_point \sum, \multiplier, \addend
    .endif
    strb \sum, [lr], #1
    .endm

#endif
