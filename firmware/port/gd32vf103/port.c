/* GD32VF103: USART0 on PA9 and PA10, the internal oscillator (IRC8M, 8 MHz) as after reset, the core's timer.
 * Source: GD32VF103 User Manual, chapters RCU, GPIO, USART; Nuclei, "Bumblebee Core Architecture Manual": TIMER unit. */
#include "le_arch.h"
#include "le_port.h"

#define RCU_APB2EN LE_REGISTER32(0x40021018u)
#define PAEN (1u << 2)
#define USART0EN (1u << 14)

#define GPIOA_CTL1 LE_REGISTER32(0x40010804u)
#define PA9_PA10_MASK 0xFF0u
#define PA9_OUTPUT_PA10_INPUT 0x4B0u /* alternate function push-pull, 50 MHz; floating input */

#define STAT LE_REGISTER32(0x40013800u)
#define DATA LE_REGISTER32(0x40013804u)
#define BAUD LE_REGISTER32(0x40013808u)
#define CTL0 LE_REGISTER32(0x4001380Cu)
#define RBNE (1u << 5)
#define TBE (1u << 7)
#define UEN_TEN_REN ((1u << 13) | (1u << 3) | (1u << 2))

#define MTIME LE_REGISTER32(0xD1000000u) /* the lower half; a quarter of the core's clock */

const uint8_t port_counter_unit = LE_COUNTER_TICKS;
const uint32_t port_counter_mask = 0xFFFFFFFFu;

void port_init(void)
{
    RCU_APB2EN |= PAEN | USART0EN;
    GPIOA_CTL1 = (GPIOA_CTL1 & ~PA9_PA10_MASK) | PA9_OUTPUT_PA10_INPUT;
    BAUD = (LE_CLOCK_HZ + LE_BAUD / 2) / LE_BAUD;
    CTL0 = UEN_TEN_REN;
}

void port_putc(uint8_t byte)
{
    while (!(STAT & TBE)) {
    }
    DATA = byte;
}

uint8_t port_getc(void)
{
    while (!(STAT & RBNE)) {
    }
    return (uint8_t)DATA;
}

uint32_t port_counter(void) { return MTIME; }

void port_exit(uint8_t code) { le_arch_exit(code); }
