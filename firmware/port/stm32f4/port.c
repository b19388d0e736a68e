/* STM32F4: a USART on two pins of one GPIO port, the internal oscillator (HSI, 16 MHz) as after reset, SysTick.
 * Source: reference manuals RM0090 (F405, F407) and RM0390 (F446), chapters RCC, GPIO, USART.
 *
 * The board's TOML says which USART, and on which pins:
 *   LE_UART_BASE        its registers
 *   LE_UART_RCC_ENR     the register of RCC that gives it its clock, and the bit in it
 *   LE_UART_RCC_BIT
 *   LE_UART_GPIO_BASE   the registers of the GPIO port
 *   LE_UART_TX_PIN      the numbers of the pins in that port, and their alternate function
 *   LE_UART_RX_PIN
 *   LE_UART_PIN_AF */
#include "le_arch.h"
#include "le_port.h"
#include "le_systick.h"

#define RCC_AHB1ENR LE_REGISTER32(0x40023830u)
#define GPIOA_BASE 0x40020000u /* where bit 0 of RCC_AHB1ENR belongs to; the others follow 1 KB apart */

#define GPIO_MODER LE_REGISTER32(LE_UART_GPIO_BASE + 0x00u)
#define GPIO_AFR(pin) LE_REGISTER32(LE_UART_GPIO_BASE + ((pin) < 8u ? 0x20u : 0x24u))
#define MODE_ALTERNATE 2u

#define SR LE_REGISTER32(LE_UART_BASE + 0x00u)
#define DR LE_REGISTER32(LE_UART_BASE + 0x04u)
#define BRR LE_REGISTER32(LE_UART_BASE + 0x08u)
#define CR1 LE_REGISTER32(LE_UART_BASE + 0x0Cu)
#define RXNE (1u << 5)
#define TXE (1u << 7)
#define UE_TE_RE ((1u << 13) | (1u << 3) | (1u << 2))

const uint8_t port_counter_unit = LE_COUNTER_CYCLES;
const uint32_t port_counter_mask = 0xFFFFFFu;

static void connect(uint32_t pin)
{
    const uint32_t at = 4u * (pin % 8u);
    GPIO_AFR(pin) = (GPIO_AFR(pin) & ~(0xFu << at)) | (LE_UART_PIN_AF << at);
    GPIO_MODER = (GPIO_MODER & ~(3u << (2u * pin))) | (MODE_ALTERNATE << (2u * pin));
}

void port_init(void)
{
    RCC_AHB1ENR |= 1u << ((LE_UART_GPIO_BASE - GPIOA_BASE) / 0x400u);
    LE_REGISTER32(LE_UART_RCC_ENR) |= 1u << LE_UART_RCC_BIT;
    connect(LE_UART_TX_PIN);
    connect(LE_UART_RX_PIN);
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
