/* nRF52833 and nRF52840: UART0 on any two pins, SysTick, the crystal as the clock.
 * Source: nRF52840 Product Specification 1.7 and nRF52833 Product Specification 1.5, chapters CLOCK, GPIO, NVMC, UICR,
 * UART ("UART - Universal asynchronous receiver/transmitter", without DMA) and "Access port protection".
 *
 * A pin of the board's TOML is 32 * port + number, as in the registers PSEL: P1.03 is 35. */
#include "le_arch.h"
#include "le_port.h"
#include "le_systick.h"

#define CLOCK_HFCLKSTART LE_REGISTER32(0x40000000u)
#define CLOCK_HFCLKSTARTED LE_REGISTER32(0x40000100u)
#define APPROTECT_DISABLE LE_REGISTER32(0x40000558u)
#define UICR_APPROTECT LE_REGISTER32(0x10001208u)
#define NVMC_ICACHECNF LE_REGISTER32(0x4001E540u)

#define UART 0x40002000u
#define STARTRX LE_REGISTER32(UART + 0x000u)
#define STARTTX LE_REGISTER32(UART + 0x008u)
#define RXDRDY LE_REGISTER32(UART + 0x108u)
#define TXDRDY LE_REGISTER32(UART + 0x11Cu)
#define ENABLE LE_REGISTER32(UART + 0x500u)
#define PSEL_TXD LE_REGISTER32(UART + 0x50Cu)
#define PSEL_RXD LE_REGISTER32(UART + 0x514u)
#define RXD LE_REGISTER32(UART + 0x518u)
#define TXD LE_REGISTER32(UART + 0x51Cu)
#define BAUDRATE LE_REGISTER32(UART + 0x524u)
#define BAUD_115200 0x01D7E000u

#define TX_PORT (0x50000000u + 0x300u * (LE_UART_TX_PIN / 32u))
#define GPIO_OUTSET LE_REGISTER32(TX_PORT + 0x508u)
#define GPIO_DIRSET LE_REGISTER32(TX_PORT + 0x518u)
#define TX_BIT (1u << (LE_UART_TX_PIN % 32u))

const uint8_t port_counter_unit = LE_COUNTER_CYCLES;
const uint32_t port_counter_mask = 0xFFFFFFu;

/* Newer silicon (nRF52840 from build code Fx0) locks a debugger out after each reset until the firmware lets it in; we
 * do where UICR does. Else who writes the chip next must erase all of it, boot loader included. Older silicon has
 * nothing at that address. */
static void let_debugger_in(void) { APPROTECT_DISABLE = UICR_APPROTECT; }

/* The internal oscillator that runs after reset is too coarse for a UART. A crystal that does not start within some
 * 10 ms is not waited for. */
static void run_from_crystal(void)
{
    CLOCK_HFCLKSTART = 1;
    for (uint32_t patience = 80000; patience > 0 && !CLOCK_HFCLKSTARTED; patience--) {
    }
}

void port_init(void)
{
    let_debugger_in();
    NVMC_ICACHECNF = 1; /* at 64 MHz the flash has wait states */
    run_from_crystal();
    GPIO_OUTSET = TX_BIT;
    GPIO_DIRSET = TX_BIT;
    PSEL_TXD = LE_UART_TX_PIN;
    PSEL_RXD = LE_UART_RX_PIN;
    BAUDRATE = BAUD_115200;
    ENABLE = 4;
    STARTRX = 1;
    STARTTX = 1;
    le_systick_start();
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

uint32_t port_counter(void) { return le_systick_count(); }

void port_exit(uint8_t code) { le_arch_exit(code); }
