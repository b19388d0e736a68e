/* A ternary matrix times a vector, for both requantisations: le_trits_avr.S has the loops over the inputs. */
#include "le_avr_macros.h"

/* Offsets in le_five_avr. */
INPUTS = 0
SUMS = 5
MADE = 7
OUTPUTS = 9
OUTPUT = 11
START = 13
TABLE = 16

/* void name(le_five_avr *five): of twice the sums.
 * load, requantize: of le_avr_macros.h, on the tie-free grid or as TFLM does. started: 1 where the sums have the start in them,
 * since there are no registers for it. */
.macro LE_OUTPUTS_OF_FIVE name, load=LE_LOAD_OUTPUT, requantize=LE_REQUANTIZE, started=0
    .section .text.\name, "ax", @progbits
    .global \name
    .type \name, @function
\name:
    LE_SAVE
    movw r28, r24
    ldd r30, Y+TABLE
    ldd r31, Y+TABLE+1
    ldd r18, Y+TABLE+2
    LE_FLASH_AT r18
    ldd r26, Y+OUTPUT
    ldd r27, Y+OUTPUT+1
    ldd r8, Y+OUTPUTS
    ldd r9, Y+OUTPUTS+1
    .ifeq \started
    ldd r10, Y+START
    ldd r11, Y+START+1
    ldd r12, Y+START+2
    .endif
    ldd r18, Y+SUMS
    ldd r19, Y+SUMS+1
    movw r28, r18
.Loutput_\name:
    ld r2, Y+
    ld r3, Y+
    ld r4, Y+
    .ifeq \started
    add r2, r10
    adc r3, r11
    adc r4, r12
    .endif
    lsl r2
    rol r3
    rol r4
    \load
    \requantize
    st X+, r5
    movw r24, r8
    sbiw r24, 1
    movw r8, r24
    breq 1f
    rjmp .Loutput_\name
1:  LE_RESTORE
    ret
    .size \name, . - \name
.endm
