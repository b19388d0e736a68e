/* Arm's MPS2 and MPS3 FPGA boards: the UART of the Cortex-M System Design Kit, SysTick.
 * Source: Cortex-M System Design Kit Technical Reference Manual (DDI 0479), "APB UART". */
#include "le_arch.h"
#include "le_port.h"
#include "le_systick.h"

#define DATA LE_REGISTER32(LE_UART_BASE + 0x00u)
#define STATE LE_REGISTER32(LE_UART_BASE + 0x04u)
#define CTRL LE_REGISTER32(LE_UART_BASE + 0x08u)
#define BAUDDIV LE_REGISTER32(LE_UART_BASE + 0x10u)
#ifndef LE_UART_CLOCK_HZ /* the board's TOML defines it where the UART has its own clock */
#define LE_UART_CLOCK_HZ LE_CLOCK_HZ
#endif
#define TX_FULL 1u
#define RX_FULL 2u

const uint8_t port_counter_unit = LE_COUNTER_CYCLES;
const uint32_t port_counter_mask = 0xFFFFFFu;

void port_init(void)
{
    BAUDDIV = LE_UART_CLOCK_HZ / LE_BAUD;
    CTRL = 3; /* transmit, receive */
    le_systick_start();
}

void port_putc(uint8_t byte)
{
    while (STATE & TX_FULL) {
    }
    DATA = byte;
}

uint8_t port_getc(void)
{
    while (!(STATE & RX_FULL)) {
    }
    return (uint8_t)DATA;
}

uint32_t port_counter(void) { return le_systick_count(); }

void port_exit(uint8_t code) { le_arch_exit(code); }
