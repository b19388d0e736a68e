/* SiFive FE310: UART0 on GPIO 16 and 17, minstret.
 * Source: SiFive FE310-G000 Manual, chapters PRCI, GPIO, UART; The RISC-V Instruction Set Manual: minstret. */
#include "le_arch.h"
#include "le_port.h"

#define HFXOSCCFG LE_REGISTER32(0x10008004u)
#define PLLCFG LE_REGISTER32(0x10008008u)
#define HFXOSC_ENABLE (1u << 30)
#define HFXOSC_READY (1u << 31)
#define PLL_BYPASSED_CRYSTAL ((1u << 18) | (1u << 17) | (1u << 16)) /* bypass, reference: crystal, drive the core */

#define GPIO_IOF_EN LE_REGISTER32(0x10012038u)
#define GPIO_IOF_SEL LE_REGISTER32(0x1001203Cu)
#define UART0_PINS ((1u << 16) | (1u << 17))

#define UART 0x10013000u
#define TXDATA LE_REGISTER32(UART + 0x00u)
#define RXDATA LE_REGISTER32(UART + 0x04u)
#define TXCTRL LE_REGISTER32(UART + 0x08u)
#define RXCTRL LE_REGISTER32(UART + 0x0Cu)
#define DIV LE_REGISTER32(UART + 0x18u)
#define FULL_OR_EMPTY (1u << 31)

const uint8_t port_counter_unit = LE_COUNTER_INSTRUCTIONS;
const uint32_t port_counter_mask = 0xFFFFFFFFu;

/* The ring oscillator that runs after reset is too coarse for a UART. A crystal that does not start is not waited for. */
static void run_from_crystal(void)
{
    HFXOSCCFG = HFXOSC_ENABLE;
    for (uint32_t patience = 10000; patience > 0 && !(HFXOSCCFG & HFXOSC_READY); patience--) {
    }
    PLLCFG = PLL_BYPASSED_CRYSTAL;
}

void port_init(void)
{
    run_from_crystal();
    GPIO_IOF_SEL &= ~UART0_PINS;
    GPIO_IOF_EN |= UART0_PINS;
    DIV = (LE_CLOCK_HZ + LE_BAUD / 2) / LE_BAUD - 1;
    TXCTRL = 1;
    RXCTRL = 1;
}

void port_putc(uint8_t byte)
{
    while (TXDATA & FULL_OR_EMPTY) {
    }
    TXDATA = byte;
}

uint8_t port_getc(void)
{
    uint32_t word;
    do {
        word = RXDATA;
    } while (word & FULL_OR_EMPTY);
    return (uint8_t)word;
}

uint32_t port_counter(void)
{
    uint32_t count;
    __asm__ volatile("csrr %0, minstret" : "=r"(count));
    return count;
}

void port_exit(uint8_t code) { le_arch_exit(code); }
