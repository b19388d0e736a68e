/* What the firmware needs of an instruction set, and what the start-up code of arch/ISA needs of the firmware. */
#ifndef LE_ARCH_H
#define LE_ARCH_H

#include <stdint.h>

/* The end of RAM is the stack's, LE_STACK_BYTES of it. Start-up paints it before main() runs. */
#define LE_STACK_PAINT 0xA5u

/* Placed by the linker script. */
extern uint8_t le_stack_bottom[], le_stack_top[];
extern uint8_t le_data_start[], le_data_end[], le_bss_start[], le_bss_end[];
extern const uint8_t le_data_load[];

/* Ends an emulator with that status (semihosting's SYS_EXIT_EXTENDED, or what the emulator has); on silicon without a
 * debugger the core stops. Does not return. */
void le_arch_exit(uint8_t code);

int main(void);

/* Called by start-up code when the processor faults, on a fresh stack. Does not return. */
void le_fault(uint32_t program_counter);

#endif
