/* STM32F405: USART1 on PA9 and PA10, the internal oscillator (HSI, 16 MHz) as after reset, SysTick.
 * Source: reference manual RM0090, chapters RCC, GPIO, USART; data sheet DS8626, alternate function 7. */
#include "le_arch.h"
#include "le_port.h"
#include "le_systick.h"

#define RCC_AHB1ENR LE_REGISTER32(0x40023830u)
#define RCC_APB2ENR LE_REGISTER32(0x40023844u)
#define GPIOAEN (1u << 0)
#define USART1EN (1u << 4)

#define GPIOA_MODER LE_REGISTER32(0x40020000u)
#define GPIOA_AFRH LE_REGISTER32(0x40020024u)
#define PA9_PA10_MODE_MASK (0xFu << 18)
#define PA9_PA10_ALTERNATE (0xAu << 18)
#define PA9_PA10_AF_MASK 0xFF0u
#define PA9_PA10_AF7 0x770u

#define SR LE_REGISTER32(0x40011000u)
#define DR LE_REGISTER32(0x40011004u)
#define BRR LE_REGISTER32(0x40011008u)
#define CR1 LE_REGISTER32(0x4001100Cu)
#define RXNE (1u << 5)
#define TXE (1u << 7)
#define UE_TE_RE ((1u << 13) | (1u << 3) | (1u << 2))

const uint8_t port_counter_unit = LE_COUNTER_CYCLES;
const uint32_t port_counter_mask = 0xFFFFFFu;

void port_init(void)
{
    RCC_AHB1ENR |= GPIOAEN;
    RCC_APB2ENR |= USART1EN;
    GPIOA_AFRH = (GPIOA_AFRH & ~PA9_PA10_AF_MASK) | PA9_PA10_AF7;
    GPIOA_MODER = (GPIOA_MODER & ~PA9_PA10_MODE_MASK) | PA9_PA10_ALTERNATE;
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
