/* Start-up of an AVR with vectors of two words: vectors, memory. It has no faults; an interrupt that nobody enabled ends
 * in le_fault.
 * Source: data sheets ATmega640/1280/1281/2560/2561 (2549) and ATmega48A/PA/88A/PA/168A/PA/328/P (DS40002061),
 * "Interrupts" and "AVR CPU Core"; avr-gcc's ABI: r1 is zero. */

#define SPL 0x3D
#define SPH 0x3E
#define SREG 0x3F
#define RAMPZ 0x3B
#define EIND 0x3C

/* The ATmega2560 and its family, and the ATmega328P, whose flash needs no RAMPZ. */
#ifdef __AVR_HAVE_RAMPZ__
#define VECTORS 57
#define LOAD_FLASH elpm
#else
#define VECTORS 26
#define LOAD_FLASH lpm
#endif

    .section .vectors, "ax", @progbits
    .global le_reset
le_reset:
    jmp le_start
    .rept VECTORS - 1
    jmp le_unexpected
    .endr

    .text
le_start:
    clr r1
    out SREG, r1
#ifdef __AVR_HAVE_EIJMP_EICALL__
    out EIND, r1
#endif
    ldi r28, lo8(le_stack_last)
    ldi r29, hi8(le_stack_last)
    out SPH, r29
    out SPL, r28

    /* .data from flash */
    ldi r26, lo8(le_data_start)
    ldi r27, hi8(le_data_start)
    ldi r30, lo8(le_data_load)
    ldi r31, hi8(le_data_load)
#ifdef __AVR_HAVE_RAMPZ__
    ldi r16, hh8(le_data_load)
    out RAMPZ, r16
#endif
    ldi r17, hi8(le_data_end)
    rjmp 2f
1:  LOAD_FLASH r0, Z+
    st X+, r0
2:  cpi r26, lo8(le_data_end)
    cpc r27, r17
    brne 1b

    /* .bss */
    ldi r17, hi8(le_bss_end)
    rjmp 4f
3:  st X+, r1
4:  cpi r26, lo8(le_bss_end)
    cpc r27, r17
    brne 3b

    /* the stack, of which nothing is in use yet but what main will be called with */
    ldi r26, lo8(le_stack_bottom)
    ldi r27, hi8(le_stack_bottom)
    ldi r16, 0xA5
    ldi r17, hi8(le_stack_top)
5:  st X+, r16
    cpi r26, lo8(le_stack_top)
    cpc r27, r17
    brne 5b

    call main
le_unexpected:
    clr r1
    clr r22
    clr r23
    clr r24
    clr r25
    jmp le_fault
