/* WCH CH32V003: USART1 on PD5 (TX) and PD6 (RX), the internal oscillator of 24 MHz, SysTick as the counter.
 * Source: ch32fun, ch32v003hw.h, for names, addresses and bits. That HCLK is a third of the oscillator after a reset has not
 * been checked against the reference manual, and nothing here was tried on a chip. */
#include "le_arch.h"
#include "le_port.h"

#define RCC 0x40021000u
#define CFGR0 LE_REGISTER32(RCC + 0x04u)
#define APB2PCENR LE_REGISTER32(RCC + 0x18u)
#define GPIOD_CLOCK (1u << 5)
#define USART1_CLOCK (1u << 14)

#define GPIOD_CFGLR LE_REGISTER32(0x40011400u) /* four bits a pin */
#define PIN(number, mode) ((mode) << (4 * (number)))
#define FLOATING_INPUT 4u
#define FAST_ALTERNATE_OUTPUT 11u

#define USART1 0x40013800u
#define STATR LE_REGISTER32(USART1 + 0x00u)
#define DATAR LE_REGISTER32(USART1 + 0x04u)
#define BRR LE_REGISTER32(USART1 + 0x08u)
#define CTLR1 LE_REGISTER32(USART1 + 0x0Cu)
#define RXNE (1u << 5)
#define TXE (1u << 7)
#define RE (1u << 2)
#define TE (1u << 3)
#define UE (1u << 13)

#define SYSTICK 0xE000F000u
#define SYSTICK_CTLR LE_REGISTER32(SYSTICK + 0x00u)
#define SYSTICK_CNT LE_REGISTER32(SYSTICK + 0x08u)
#define STE (1u << 0)
#define STCLK_HCLK (1u << 2)

const uint8_t port_counter_unit = LE_COUNTER_CYCLES;
const uint32_t port_counter_mask = 0xFFFFFFFFu;

void port_init(void)
{
    CFGR0 = 0; /* the oscillator, undivided; flash needs no wait state up to 24 MHz */
    APB2PCENR = GPIOD_CLOCK | USART1_CLOCK;
    /* All pins of the port are inputs after reset, PD1 with the debugger on it too. */
    GPIOD_CFGLR = 0x44444444u ^ PIN(5, FLOATING_INPUT ^ FAST_ALTERNATE_OUTPUT);
    BRR = (LE_CLOCK_HZ + LE_BAUD / 2) / LE_BAUD;
    CTLR1 = UE | TE | RE;
    SYSTICK_CTLR = STE | STCLK_HCLK;
}

void port_putc(uint8_t byte)
{
    while (!(STATR & TXE)) {
    }
    DATAR = byte;
}

uint8_t port_getc(void)
{
    while (!(STATR & RXNE)) {
    }
    return (uint8_t)DATAR;
}

uint32_t port_counter(void) { return SYSTICK_CNT; }

void port_exit(uint8_t code) { le_arch_exit(code); }
