/* STM32F100 and F103: USART1 on PA9 and PA10, the internal oscillator (HSI, 8 MHz) as after reset, SysTick.
 * Source: reference manuals RM0041 and RM0008, chapters RCC, GPIO, USART. */
#include "le_arch.h"
#include "le_port.h"
#include "le_systick.h"

#define RCC_APB2ENR LE_REGISTER32(0x40021018u)
#define IOPAEN (1u << 2)
#define USART1EN (1u << 14)

#define GPIOA_CRH LE_REGISTER32(0x40010804u)
#define PA9_PA10_MASK 0xFF0u
#define PA9_OUTPUT_PA10_INPUT 0x4B0u /* alternate function push-pull, 50 MHz; floating input */

#define SR LE_REGISTER32(0x40013800u)
#define DR LE_REGISTER32(0x40013804u)
#define BRR LE_REGISTER32(0x40013808u)
#define CR1 LE_REGISTER32(0x4001380Cu)
#define RXNE (1u << 5)
#define TXE (1u << 7)
#define UE_TE_RE ((1u << 13) | (1u << 3) | (1u << 2))

const uint8_t port_counter_unit = LE_COUNTER_CYCLES;
const uint32_t port_counter_mask = 0xFFFFFFu;

void port_init(void)
{
    RCC_APB2ENR |= IOPAEN | USART1EN;
    GPIOA_CRH = (GPIOA_CRH & ~PA9_PA10_MASK) | PA9_OUTPUT_PA10_INPUT;
    BRR = (LE_CLOCK_HZ + LE_BAUD / 2) / LE_BAUD;
    CR1 = UE_TE_RE;
    le_systick_start();
}

void port_putc(uint8_t byte)
{
    while (!(SR & TXE)) {
    }
    DR = byte;
}

uint8_t port_getc(void)
{
    while (!(SR & RXNE)) {
    }
    return (uint8_t)DR;
}

uint32_t port_counter(void) { return le_systick_count(); }

void port_exit(uint8_t code) { le_arch_exit(code); }
