/* Kernels for x86-64 hosts: what they do with a register of int16 or int32, for each instruction set. */
#ifndef LE_REGISTERS_X86_H
#define LE_REGISTERS_X86_H

#include "le_kernels.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#else
#error "these kernels need SSE2: compile for x86-64, or export the model with --kernels plain"
#endif

/* VNNI: four products of bytes, or two of int16, of each int32 in one instruction, which does not saturate. AVX-512 has it,
 * and AVX-VNNI for registers of AVX2; compilers name the latter's apart, since they are encoded apart. With AVX-512 there
 * are registers of 64 bytes, and 32 of them. */
#if defined(__AVX512VNNI__) && defined(__AVX512VL__) && defined(__AVX512BW__) && defined(__AVX512DQ__)
#define LE_X86_AVX512 1
#define LE_X86_VNNI(name) _mm256_##name##_epi32
#elif defined(__AVXVNNI__)
#define LE_X86_VNNI(name) _mm256_##name##_avx_epi32
#endif

/* A loop over registers: without it GCC 12 leaves them in memory at -O2. clang unrolls by itself. */
#if defined(__GNUC__) && !defined(__clang__)
#define LE_X86_UNROLL _Pragma("GCC unroll 16")
#define LE_X86_APART LE_NOINLINE /* where several of these inlined into one function would take too many registers */
#else
#define LE_X86_UNROLL
#define LE_X86_APART inline
#endif

/* A function of which each caller has its own copy, with its constants in it. */
#ifdef __GNUC__
#define LE_X86_COPIED static inline __attribute__((always_inline))
#else
#define LE_X86_COPIED static inline
#endif

/* --- whole registers ------------------------------------------------------------------------------------------------ */

/* As many int16, or int32, as a register has; LE_SIMD(name) is the intrinsic for it, LE_BITS(name) that for its bits. */
#ifdef __AVX2__
typedef __m256i le_words;
#define LE_SIMD(name) _mm256_##name
#define LE_BITS(name) _mm256_##name##_si256
#else
typedef __m128i le_words;
#define LE_SIMD(name) _mm_##name
#define LE_BITS(name) _mm_##name##_si128
#endif

static inline le_words le_load_words(const void *from)
{
    return LE_BITS(loadu)((const le_words *)from);
}

static inline void le_store_words(void *to, le_words a)
{
    LE_BITS(storeu)((le_words *)to, a);
}

static inline le_words le_zero_words(void)
{
    return LE_SIMD(set1_epi32)(0);
}

static inline le_words le_maximum_words(le_words a, le_words b)
{
#ifdef __AVX2__
    return _mm256_max_epi32(a, b);
#else
    const __m128i larger = _mm_cmpgt_epi32(a, b);
    return _mm_or_si128(_mm_and_si128(larger, a), _mm_andnot_si128(larger, b));
#endif
}

/* Adds the four products of uint8 and int8 in each int32. Unless the weights are `whole`, no pair of products leaves
 * int16. */
static inline le_words le_dot(le_words sum, le_words x, le_words weights, int whole)
{
#if defined(LE_X86_VNNI)
    (void)whole;
    return LE_X86_VNNI(dpbusd)(sum, x, weights);
#else
#ifdef __AVX2__
    if (!whole) {
        return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, weights), _mm256_set1_epi16(1)));
    }
#endif
    (void)whole;
    const le_words lower = LE_SIMD(srai_epi16)(LE_SIMD(slli_epi16)(weights, 8), 8), bytes = LE_SIMD(set1_epi16)(0xFF);
    const le_words even = LE_SIMD(madd_epi16)(LE_BITS(and)(x, bytes), lower);
    const le_words odd = LE_SIMD(madd_epi16)(LE_SIMD(srli_epi16)(x, 8), LE_SIMD(srai_epi16)(weights, 8));
    return LE_SIMD(add_epi32)(sum, LE_SIMD(add_epi32)(even, odd));
#endif
}

/* Adds the two products of int16 in each int32. */
static inline le_words le_dot_pairs(le_words sum, le_words x, le_words weights)
{
#ifdef LE_X86_VNNI
    return LE_X86_VNNI(dpwssd)(sum, x, weights);
#else
    return LE_SIMD(add_epi32)(sum, LE_SIMD(madd_epi16)(x, weights));
#endif
}

/* The upper halves of n * m, m not negative, which saturate to the output. SSE2 has unsigned products only: m goes from
 * those where n is negative. */
static inline le_words le_high_words(le_words n, le_words m)
{
#ifdef __AVX2__
    const __m256i even = _mm256_srli_epi64(_mm256_mul_epi32(n, m), 32);
    const __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(n, 32), _mm256_srli_epi64(m, 32));
    return _mm256_blend_epi32(even, odd, 0xAA);
#else
    const __m128i even = _mm_srli_epi64(_mm_mul_epu32(n, m), 32);
    const __m128i odd = _mm_mul_epu32(_mm_srli_epi64(n, 32), _mm_srli_epi64(m, 32));
    const __m128i upper = _mm_slli_epi64(_mm_srli_epi64(odd, 32), 32);
    return _mm_sub_epi32(_mm_or_si128(even, upper), _mm_and_si128(_mm_srai_epi32(n, 31), m));
#endif
}

#ifndef __AVX2__
/* (a * b + c) >> 31 of unsigned a and b, where that is below 2^32; c: int64 for the even, and for the odd lanes. */
static inline __m128i le_shifted_sse2(__m128i a, __m128i b, __m128i c_even, __m128i c_odd)
{
    const __m128i even = _mm_add_epi64(_mm_mul_epu32(a, b), c_even);
    const __m128i odd = _mm_add_epi64(_mm_mul_epu32(_mm_srli_epi64(a, 32), _mm_srli_epi64(b, 32)), c_odd);
    return _mm_or_si128(_mm_srli_epi64(even, 31), _mm_slli_epi64(_mm_srli_epi64(odd, 31), 32));
}

/* 2^exponent, -1 to 31: as the float of which that is the exponent. 2^-1 becomes 0; 2^31, which no int32 holds,
 * 0x80000000, as the instruction has it. */
static inline __m128i le_power_sse2(__m128i exponent)
{
    const __m128i bits = _mm_slli_epi32(_mm_add_epi32(exponent, _mm_set1_epi32(127)), 23);
    return _mm_cvttps_epi32(_mm_castsi128_ps(bits));
}
#endif

/* TFLM's requantisation, without zero point: x = (n * m + 2^30) >> 31, then x / 2^shift, rounded half away from zero, which
 * is (|x| + 2^(shift - 1)) >> shift with the sign of x; with shift 0 it is x. |x| <= 2^31 and 2^(shift - 1) <= 2^30, so
 * that the sum fits a uint32. SSE2, unsigned: where n is negative, |x| = (|n| * m + 2^30 - 1) >> 31; the shift is a
 * product with 2^(31 - shift), shifted by 31. */
static inline le_words le_rounded(le_words n, le_words m, le_words shift)
{
#ifdef __AVX2__
    const __m256i half = _mm256_set1_epi64x(1 << 30);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(n, m), half);
    const __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(n, 32), _mm256_srli_epi64(m, 32)), half);
    const __m256i x = _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xAA);
    const __m256i round = _mm256_srli_epi32(_mm256_sllv_epi32(_mm256_set1_epi32(1), shift), 1);
    const __m256i size = _mm256_srlv_epi32(_mm256_add_epi32(_mm256_abs_epi32(x), round), shift);
    return _mm256_sign_epi32(size, x);
#else
    const __m128i sign = _mm_srai_epi32(n, 31), size = _mm_sub_epi32(_mm_xor_si128(n, sign), sign);
    const __m128i half = _mm_set_epi32(0, 1 << 30, 0, 1 << 30), zero = _mm_setzero_si128();
    const __m128i half_even = _mm_add_epi64(half, _mm_shuffle_epi32(sign, _MM_SHUFFLE(2, 2, 0, 0)));
    const __m128i half_odd = _mm_add_epi64(half, _mm_shuffle_epi32(sign, _MM_SHUFFLE(3, 3, 1, 1)));
    const __m128i x = le_shifted_sse2(size, m, half_even, half_odd);
    const __m128i sum = _mm_add_epi32(x, le_power_sse2(_mm_sub_epi32(shift, _mm_set1_epi32(1))));
    const __m128i scaled = le_shifted_sse2(sum, le_power_sse2(_mm_sub_epi32(_mm_set1_epi32(31), shift)), zero, zero);
    return _mm_sub_epi32(_mm_xor_si128(scaled, sign), sign);
#endif
}

/* int16 results with their zero point, and within the clamp. SIMD(name): the intrinsic, LE_SIMD or LE_SIMD_128. */
#define LE_X86_PLACED(SIMD, words, to)                                                                                 \
    SIMD(min_epi16)(SIMD(max_epi16)(SIMD(adds_epi16)(words, SIMD(set1_epi16)((to)->zero_point)),                       \
                                    SIMD(set1_epi16)((to)->clamp_min)),                                                \
                    SIMD(set1_epi16)((to)->clamp_max))
#define LE_SIMD_128(name) _mm_##name

#endif
