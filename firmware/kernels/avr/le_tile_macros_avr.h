/* Convolution of one tile: 2 x 2 positions, all channels; a function for each size of the kernel.
 *
 * Blocking: one output channel at a time, its four positions in four 24-bit accumulators. For each input channel the
 * patch goes by columns: two neighbouring ones, of kernel + 1 inputs each, are in registers; each weight is loaded once
 * and multiplied with two inputs of each, then the older column is replaced by the next one.
 *
 * Registers:
 *   r0, r1 product       r2-r13 accumulators: (0, 0), (0, 1), (1, 0), (1, 1)
 *   r14-r19, r20-r25     two columns of the patch
 *   r26 weight           r27 zero            Y patch           RAMPZ:Z table
 * The number of input channels to do, and the address of the tile, are on the stack.
 *
 * Cycles: 5 for each product, 3 for each weight, 2 for each input. Kernel 5 x 5: 25 * (3 + 4 * 5) + 36 * 2 + 8 = 655 - 8
 * with all in it for 100 MACs: 6.55 per MAC; 3 x 3: 7.0; 1 x 1: 9.8. In addition for each output about 160. An input that
 * a channel's table names takes 44 more.
 *
 * Packed weights: two in a byte take 1.5 more each, because no register is free to keep the byte for its second half. Weights
 * of -1, 0 and 1 are not multiplied: inputs are added, subtracted or left alone, 17 or 18 cycles for four products and 3 for a
 * 0 with four weights in a byte; 17 to 19 and 6 with five, whose digits MUL takes out.
 */
#include "le_avr_macros.h"

/* Offsets in le_tile_avr. */
PATCH = 12
OUTPUT = 14
CHANNELS = 16
INPUTS = 18
POOLED = 19
TABLE = 20

#define LE_AVR_START 12 /* bytes of four accumulators */
#define LE_AVR_BLOCK(kernel) (((kernel) + 1) * ((kernel) + 1) + LE_AVR_START)

/* accumulator += weight * input. */
.macro LE_PRODUCT accumulator, input
    mul r26, \input
    add \accumulator, r0
    adc \accumulator + 1, r1
    adc \accumulator + 2, r27
.endm

/* The next column of the patch. */
.macro LE_COLUMN first, count
    .set index, \first
    .rept \count
    ld index, Y+
    .set index, index + 1
    .endr
.endm

/* r26 = the next weight: a byte, or half of one, the first being the lower half; the last half of an odd number is skipped. */
.macro LE_WEIGHT in_byte, kernel
    .if \in_byte == 1
    LE_FLASH r26
    .else
    .if tap % 2 == 0 && tap != \kernel * \kernel - 1
    LE_FLASH_AGAIN r26
    .else
    LE_FLASH r26
    .endif
    .if tap % 2
    swap r26
    .endif
    andi r26, 15
    .endif
.endm

/* The four accumulators, with or without the input that each sees; instructions: add and adc, or sub and sbc. */
.macro LE_FOUR_SUMS first, carry, left, right
    .irp accumulator, 2, 5, 8, 11
    .if \accumulator == 2
    \first \accumulator, \left
    .elseif \accumulator == 5
    \first \accumulator, \right
    .elseif \accumulator == 8
    \first \accumulator, \left + 1
    .else
    \first \accumulator, \right + 1
    .endif
    \carry \accumulator + 1, r27
    \carry \accumulator + 2, r27
    .endr
.endm

/* The next weight of -1, 0 or 1 with its inputs. Four in a byte, r26: the lower bit of each says that it is not 0, the
 * upper that it is -1. Five in a byte, what is left of which is r0: 3 times that, r26 being 3, has the digit above the
 * byte: 0, 1, or 2 for -1. */
.macro LE_TERNARY in_byte, left, right
    .if \in_byte == 4
    .if tap % 4 == 0
    LE_FLASH r26
    .endif
    sbrs r26, tap % 4 * 2
    rjmp .Lternary_done_\@
    sbrs r26, tap % 4 * 2 + 1
    rjmp .Lternary_plus_\@
    .else
    .if tap % 5 == 0
    LE_FLASH r0
    .endif
    mul r0, r26
    lsr r1
    brcs .Lternary_plus_\@
    breq .Lternary_done_\@
    .endif
    LE_FOUR_SUMS sub, sbc, \left, \right
    rjmp .Lternary_done_\@
.Lternary_plus_\@:
    LE_FOUR_SUMS add, adc, \left, \right
.Lternary_done_\@:
.endm

/* A column of the kernel, with the patch's columns from registers `left` and `right` on. */
.macro LE_TAPS left, right, kernel, in_byte
    .set row, 0
    .rept \kernel
    .if \in_byte < 4
    LE_WEIGHT \in_byte, \kernel
    LE_PRODUCT 2, \left + row
    LE_PRODUCT 5, \right + row
    LE_PRODUCT 8, \left + row + 1
    LE_PRODUCT 11, \right + row + 1
    .else
    LE_TERNARY \in_byte, \left + row, \right + row
    .endif
    .set row, row + 1
    .set tap, tap + 1
    .endr
.endm

/* accumulator += r27:r26. */
.macro LE_SUM accumulator
    add \accumulator, r26
    adc \accumulator + 1, r27
    adc \accumulator + 2, r1
.endm

/* For the sums of inputs: a column of the patch, in r14 to r14 + kernel; added to the positions that see it. */
.macro LE_SUM_COLUMN kernel, is_left, is_right
    LE_COLUMN 14, \kernel + 1
    mov r26, r14
    clr r27
    .set index, 15
    .rept \kernel - 1
    add r26, index
    adc r27, r1
    .set index, index + 1
    .endr
    .if \is_left
    LE_SUM 2
    .endif
    .if \is_right
    LE_SUM 5
    .endif
    sub r26, r14
    sbc r27, r1
    add r26, 14 + \kernel
    adc r27, r1
    .if \is_left
    LE_SUM 8
    .endif
    .if \is_right
    LE_SUM 11
    .endif
.endm

/* Y = the tile, whose address stays on the stack. */
.macro LE_TILE_AT_Y
    pop r29
    pop r28
    push r28
    push r29
.endm

/* Y[0] to Y[11] = -128 times the sums in the accumulators. */
.macro LE_START
    .set index, 0
    .rept 4          /* 0 - 256 / 2 * the sum */
    lsr 4 + 3 * index
    ror 3 + 3 * index
    ror 2 + 3 * index
    clr r14
    ror r14
    neg r14
    std Y + 3 * index, r14
    clr r15
    sbc r15, 2 + 3 * index
    std Y + 3 * index + 1, r15
    clr r15
    sbc r15, 3 + 3 * index
    std Y + 3 * index + 2, r15
    .set index, index + 1
    .endr
.endm

.macro LE_FROM_ZERO
    .set index, 2
    .rept 12
    clr index
    .set index, index + 1
    .endr
.endm

/* Accumulators += Y[0] to Y[11], Y behind them. */
.macro LE_ADD_START
    .set index, 2
    .rept 4
    ld r14, Y+
    add index, r14
    ld r14, Y+
    adc index + 1, r14
    ld r14, Y+
    adc index + 2, r14
    .set index, index + 3
    .endr
.endm

/* The same, -8 times: of weights of half a byte. */
.macro LE_START_OF_HALVES
    .set index, 0
    .rept 4
    .rept 3
    lsl 2 + 3 * index
    rol 3 + 3 * index
    rol 4 + 3 * index
    .endr
    clr r14
    sub r14, 2 + 3 * index
    std Y + 3 * index, r14
    clr r14
    sbc r14, 3 + 3 * index
    std Y + 3 * index + 1, r14
    clr r14
    sbc r14, 4 + 3 * index
    std Y + 3 * index + 2, r14
    .set index, index + 1
    .endr
.endm

/* void name(le_tile_avr *tile); load, requantize: of le_avr_macros.h, on the tie-free grid or as TFLM does.
 * connected: 1 where each channel has only the inputs that its table names. Then the patch of an input has its own start of
 * the accumulators in front of it.
 * in_byte: weights in a byte of the table, 1, 2, 4 or 5; several are k of the weights 2 k, so that sums are doubled. */
.macro LE_TILE name, kernel, load=LE_LOAD_OUTPUT, requantize=LE_REQUANTIZE, connected=0, in_byte=1
    .section .text.\name, "ax", @progbits
    .global \name
    .type \name, @function
\name:
    LE_SAVE
    push r24
    push r25

    movw r28, r24
    .if \in_byte < 4
    /* start[i] = -128 * the sum of the inputs that position i sees, or -8 * it */
    ldd r24, Y+INPUTS
    ldd r14, Y+PATCH
    ldd r15, Y+PATCH+1
    movw r28, r14
    LE_FROM_ZERO
.Lsums_\name:
    .if \connected
    adiw r28, LE_AVR_START
    .endif
    LE_SUM_COLUMN \kernel, 1, 0
    .rept \kernel - 1
    LE_SUM_COLUMN \kernel, 1, 1
    .endr
    LE_SUM_COLUMN \kernel, 0, 1
    .if \connected
    sbiw r28, LE_AVR_BLOCK(\kernel)
    LE_START
    adiw r28, LE_AVR_BLOCK(\kernel)
    LE_FROM_ZERO
    .endif
    dec r24
    breq 1f
    rjmp .Lsums_\name
1:  LE_TILE_AT_Y
    .if \in_byte == 2
    LE_START_OF_HALVES
    .elseif !\connected
    LE_START
    .endif
    .endif
    ldd r30, Y+TABLE
    ldd r31, Y+TABLE+1
    ldd r14, Y+TABLE+2
    LE_FLASH_AT r14

.Lchannel_\name:
    .if \connected
    LE_FROM_ZERO
    LE_FLASH r14
    .else
    .if \in_byte < 4
    .set index, 0
    .rept 12
    ldd 2 + index, Y + index
    .set index, index + 1
    .endr
    .else
    LE_FROM_ZERO
    .endif
    ldd r14, Y+INPUTS
    .endif
    push r14
    ldd r14, Y+PATCH
    ldd r15, Y+PATCH+1
    movw r28, r14
    clr r27
    .if \in_byte == 5
    ldi r26, 3
    .endif
.Linput_\name:
    .set tap, 0
    .if \connected
    LE_FLASH r26     /* inputs that it does not see */
    ldi r25, LE_AVR_BLOCK(\kernel)
    mul r26, r25
    add r28, r0
    adc r29, r1
    LE_ADD_START
    .endif
    LE_COLUMN 14, \kernel + 1
    LE_COLUMN 20, \kernel + 1
    LE_TAPS 14, 20, \kernel, \in_byte
    .rept \kernel / 2
    LE_COLUMN 14, \kernel + 1
    LE_TAPS 20, 14, \kernel, \in_byte
    LE_COLUMN 20, \kernel + 1
    LE_TAPS 14, 20, \kernel, \in_byte
    .endr
    pop r14
    dec r14
    breq 1f
    push r14
    rjmp .Linput_\name

1:  LE_TILE_AT_Y
    ldd r26, Y+OUTPUT
    ldd r27, Y+OUTPUT+1
    ldd r21, Y+POOLED
    tst r21
    breq .Lall_\name
    LE_LARGER 5
    LE_LARGER 8
    LE_LARGER 11
    rjmp .Lload_\name       /* r21 = 1: one output */
.Lall_\name:
    .irp register, 13, 12, 11, 10, 9, 8, 7, 6, 5
    push \register
    .endr
    ldi r21, 4
.Lload_\name:
    mov r6, r21
    \load
.Lone_\name:
    .if \in_byte > 1
    lsl r2
    rol r3
    rol r4
    .endif
    \requantize
    st X+, r5
    dec r6
    breq 1f
    pop r2
    pop r3
    pop r4
    rjmp .Lone_\name
1:  std Y+OUTPUT, r26
    std Y+OUTPUT+1, r27
    ldd r24, Y+CHANNELS
    ldd r25, Y+CHANNELS+1
    sbiw r24, 1
    std Y+CHANNELS, r24
    std Y+CHANNELS+1, r25
    breq 1f
    rjmp .Lchannel_\name
1:  pop r25
    pop r24
    LE_RESTORE
    ret
    .size \name, . - \name
.endm
