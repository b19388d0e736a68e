/* QEMU's RISC-V machine "virt": a 16550 UART, minstret.
 * Source: QEMU, hw/riscv/virt.c: VIRT_UART0; National Semiconductor PC16550D data sheet, section 8;
 * The RISC-V Instruction Set Manual: minstret. */
#include "le_arch.h"
#include "le_port.h"

#define UART 0x10000000u
#define DATA LE_REGISTER8(UART + 0u)
#define INTERRUPTS LE_REGISTER8(UART + 1u)
#define FIFOS LE_REGISTER8(UART + 2u)
#define LINE_CONTROL LE_REGISTER8(UART + 3u)
#define LINE_STATUS LE_REGISTER8(UART + 5u)
#define EIGHT_BITS 0x03u
#define FIFOS_ON 0x01u
#define BYTE_RECEIVED 0x01u
#define ROOM_TO_SEND 0x20u

const uint8_t port_counter_unit = LE_COUNTER_INSTRUCTIONS;
const uint32_t port_counter_mask = 0xFFFFFFFFu;

/* An emulated UART has no baud rate to set. */
void port_init(void)
{
    INTERRUPTS = 0;
    LINE_CONTROL = EIGHT_BITS;
    FIFOS = FIFOS_ON;
}

void port_putc(uint8_t byte)
{
    while (!(LINE_STATUS & ROOM_TO_SEND)) {
    }
    DATA = byte;
}

uint8_t port_getc(void)
{
    while (!(LINE_STATUS & BYTE_RECEIVED)) {
    }
    return DATA;
}

uint32_t port_counter(void)
{
    uint32_t count;
    __asm__ volatile("csrr %0, minstret" : "=r"(count));
    return count;
}

void port_exit(uint8_t code) { le_arch_exit(code); }
