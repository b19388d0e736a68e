/* An AVR that sleeps with its interrupts disabled never wakes: simavr ends there. It reads the exit status from GPIOR0,
 * a register without its own meaning (data sheet 2549, "General Purpose I/O Registers"). */
#include "le_arch.h"
#include "le_port.h"

#define GPIOR0 LE_REGISTER8(0x3E) /* address in data memory */
#define SMCR LE_REGISTER8(0x53)

void le_arch_exit(uint8_t code)
{
    GPIOR0 = code;
    SMCR = 1; /* SE, idle */
    for (;;) {
        __asm__ volatile("cli\n\tsleep");
    }
}
