/* nRF51: UART0 on the pins of the board, TIMER0 as counter (the Cortex-M0 in it has no SysTick).
 * Source: nRF51 Series Reference Manual 3.0, chapters 13 (CLOCK), 18 (TIMER), 29 (UART). */
#include "le_arch.h"
#include "le_port.h"

#define CLOCK_HFCLKSTART LE_REGISTER32(0x40000000u)
#define CLOCK_HFCLKSTARTED LE_REGISTER32(0x40000100u)

#define UART 0x40002000u
#define STARTRX LE_REGISTER32(UART + 0x000u)
#define STARTTX LE_REGISTER32(UART + 0x008u)
#define RXDRDY LE_REGISTER32(UART + 0x108u)
#define TXDRDY LE_REGISTER32(UART + 0x11Cu)
#define ENABLE LE_REGISTER32(UART + 0x500u)
#define PSELTXD LE_REGISTER32(UART + 0x50Cu)
#define PSELRXD LE_REGISTER32(UART + 0x514u)
#define RXD LE_REGISTER32(UART + 0x518u)
#define TXD LE_REGISTER32(UART + 0x51Cu)
#define BAUDRATE LE_REGISTER32(UART + 0x524u)
#define BAUD_115200 0x01D7E000u

#define GPIO_DIRSET LE_REGISTER32(0x50000518u)

#define TIMER 0x40008000u
#define TIMER_START LE_REGISTER32(TIMER + 0x000u)
#define TIMER_CLEAR LE_REGISTER32(TIMER + 0x00Cu)
#define TIMER_CAPTURE0 LE_REGISTER32(TIMER + 0x040u)
#define TIMER_BITMODE LE_REGISTER32(TIMER + 0x508u)
#define TIMER_PRESCALER LE_REGISTER32(TIMER + 0x510u)
#define TIMER_CC0 LE_REGISTER32(TIMER + 0x540u)

/* 16 MHz, which is the processor's clock too. */
const uint8_t port_counter_unit = LE_COUNTER_CYCLES;
const uint32_t port_counter_mask = 0xFFFFFFFFu;

void port_init(void)
{
    CLOCK_HFCLKSTART = 1; /* the crystal: the internal oscillator is too coarse for a UART. It runs on until it is up. */
    GPIO_DIRSET = 1u << LE_UART_TX_PIN;
    PSELTXD = LE_UART_TX_PIN;
    PSELRXD = LE_UART_RX_PIN;
    BAUDRATE = BAUD_115200;
    ENABLE = 4;
    STARTRX = 1;
    STARTTX = 1;
    TIMER_BITMODE = 3; /* 32 bits */
    TIMER_PRESCALER = 0;
    TIMER_CLEAR = 1;
    TIMER_START = 1;
}

void port_putc(uint8_t byte)
{
    TXD = byte;
    while (!TXDRDY) {
    }
    TXDRDY = 0;
}

uint8_t port_getc(void)
{
    while (!RXDRDY) {
    }
    RXDRDY = 0; /* before the byte is taken: what comes next sets it again */
    return (uint8_t)RXD;
}

uint32_t port_counter(void)
{
    TIMER_CAPTURE0 = 1;
    return TIMER_CC0;
}

void port_exit(uint8_t code) { le_arch_exit(code); }
