/* STM32L4: a USART on two pins of one GPIO port, the internal oscillator HSI16 (16 MHz), SysTick.
 * Source: reference manual RM0351 (L475, L476, L486, L496), chapters RCC, GPIO, USART.
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

#define RCC_CR LE_REGISTER32(0x40021000u)
#define RCC_CFGR LE_REGISTER32(0x40021008u)
#define RCC_AHB2ENR LE_REGISTER32(0x4002104Cu)
#define HSION (1u << 8)
#define HSIRDY (1u << 10)
#define SW_MASK 3u
#define SW_HSI16 1u
#define GPIOA_BASE 0x48000000u /* where bit 0 of RCC_AHB2ENR belongs to; the others follow 1 KB apart */

#define GPIO_MODER LE_REGISTER32(LE_UART_GPIO_BASE + 0x00u)
#define GPIO_AFR(pin) LE_REGISTER32(LE_UART_GPIO_BASE + ((pin) < 8u ? 0x20u : 0x24u))
#define MODE_ALTERNATE 2u

#define CR1 LE_REGISTER32(LE_UART_BASE + 0x00u)
#define CR3 LE_REGISTER32(LE_UART_BASE + 0x08u)
#define BRR LE_REGISTER32(LE_UART_BASE + 0x0Cu)
#define ISR LE_REGISTER32(LE_UART_BASE + 0x1Cu)
#define RDR LE_REGISTER32(LE_UART_BASE + 0x24u)
#define TDR LE_REGISTER32(LE_UART_BASE + 0x28u)
#define RXNE (1u << 5)
#define TXE (1u << 7)
#define OVRDIS (1u << 12)
#define UE_TE_RE ((1u << 0) | (1u << 3) | (1u << 2))

const uint8_t port_counter_unit = LE_COUNTER_CYCLES;
const uint32_t port_counter_mask = 0xFFFFFFu;

/* After reset the chip runs from MSI at 4 MHz; HSI16 is faster and drifts less with the temperature. Up to 16 MHz the
 * flash needs no wait state. An oscillator that does not start is not waited for. */
static void run_from_hsi16(void)
{
    RCC_CR |= HSION;
    for (uint32_t patience = 10000; patience > 0 && !(RCC_CR & HSIRDY); patience--) {
    }
    RCC_CFGR = (RCC_CFGR & ~SW_MASK) | SW_HSI16;
}

static void connect(uint32_t pin)
{
    const uint32_t at = 4u * (pin % 8u);
    GPIO_AFR(pin) = (GPIO_AFR(pin) & ~(0xFu << at)) | (LE_UART_PIN_AF << at);
    GPIO_MODER = (GPIO_MODER & ~(3u << (2u * pin))) | (MODE_ALTERNATE << (2u * pin));
}

void port_init(void)
{
    run_from_hsi16();
    RCC_AHB2ENR |= 1u << ((LE_UART_GPIO_BASE - GPIOA_BASE) / 0x400u);
    LE_REGISTER32(LE_UART_RCC_ENR) |= 1u << LE_UART_RCC_BIT;
    connect(LE_UART_TX_PIN);
    connect(LE_UART_RX_PIN);
    BRR = (LE_CLOCK_HZ + LE_BAUD / 2) / LE_BAUD;
    CR3 = OVRDIS; /* a byte that is lost is found by the link's checksum; a flag that nobody clears is not needed */
    CR1 = UE_TE_RE;
    le_systick_start();
}

void port_putc(uint8_t byte)
{
    while (!(ISR & TXE)) {
    }
    TDR = byte;
}

uint8_t port_getc(void)
{
    while (!(ISR & RXNE)) {
    }
    return (uint8_t)RDR;
}

uint32_t port_counter(void) { return le_systick_count(); }

void port_exit(uint8_t code) { le_arch_exit(code); }
