/* Raspberry Pi RP2040: UART0 on GPIO 0 and 1, the 12 MHz crystal for core and UART, SysTick. boot.S ran before.
 * Source: RP2040 Datasheet, 2.14 (resets), 2.15 (clocks), 2.16 (crystal), 2.19 (GPIO), 4.2 (UART, an Arm PL011). */
#include "le_arch.h"
#include "le_port.h"
#include "le_systick.h"

#define SET(address) LE_REGISTER32((address) + 0x2000u)   /* 2.1.2: atomic register access */
#define CLEAR(address) LE_REGISTER32((address) + 0x3000u)

#define RESET 0x4000C000u
#define RESET_DONE LE_REGISTER32(0x4000C008u)
#define IO_BANK0 (1u << 5)
#define PADS_BANK0 (1u << 8)
#define UART0_BLOCK (1u << 22)

#define XOSC_CTRL LE_REGISTER32(0x40024000u)
#define XOSC_STATUS LE_REGISTER32(0x40024004u)
#define XOSC_STARTUP LE_REGISTER32(0x4002400Cu)
#define ENABLE_1_TO_15_MHZ ((0xFABu << 12) | 0xAA0u)
#define STARTUP_1_MS ((LE_CLOCK_HZ / 1000 + 128) / 256)
#define STABLE (1u << 31)

#define CLK_REF_CTRL LE_REGISTER32(0x40008030u)
#define CLK_REF_SELECTED LE_REGISTER32(0x40008038u)
#define REF_FROM_XOSC 2u /* SELECTED has one bit for each source */
#define CLK_SYS_CTRL 0x4000803Cu
#define CLK_SYS_SELECTED LE_REGISTER32(0x40008044u)
#define SYS_SRC 1u /* 0: from clk_ref */
#define CLK_PERI_CTRL LE_REGISTER32(0x40008048u)
#define PERI_ENABLE (1u << 11)
#define PERI_FROM_SYS (0u << 5)

#define GPIO0_CTRL LE_REGISTER32(0x40014004u)
#define GPIO1_CTRL LE_REGISTER32(0x4001400Cu)
#define FUNCTION_UART 2u

#define UART 0x40034000u
#define DR LE_REGISTER32(UART + 0x00u)
#define FR LE_REGISTER32(UART + 0x18u)
#define IBRD LE_REGISTER32(UART + 0x24u)
#define FBRD LE_REGISTER32(UART + 0x28u)
#define LCR_H LE_REGISTER32(UART + 0x2Cu)
#define CR LE_REGISTER32(UART + 0x30u)
#define RXFE (1u << 4)
#define TXFF (1u << 5)
#define FIFOS_8_BITS ((3u << 5) | (1u << 4))
#define UARTEN_TXE_RXE ((1u << 0) | (1u << 8) | (1u << 9))
#define DIVISOR_64 ((LE_CLOCK_HZ * 4 + LE_BAUD / 2) / LE_BAUD) /* of 16 LE_BAUD, in 64ths: 4.2.7.1 */

#define PATIENCE 100000u /* looks at a flag: what does not come is not waited for, the banner will be garbled */

const uint8_t port_counter_unit = LE_COUNTER_CYCLES;
const uint32_t port_counter_mask = 0xFFFFFFu;

static void wait_for(volatile uint32_t *flags, uint32_t wanted)
{
    for (uint32_t patience = PATIENCE; patience > 0 && (*flags & wanted) != wanted; patience--) {
    }
}

/* clk_sys comes from clk_ref after a reset; a debugger may have left it elsewhere. Both change without a glitch. */
static void run_from_crystal(void)
{
    XOSC_STARTUP = STARTUP_1_MS;
    XOSC_CTRL = ENABLE_1_TO_15_MHZ;
    wait_for(&XOSC_STATUS, STABLE);
    CLEAR(CLK_SYS_CTRL) = SYS_SRC;
    wait_for(&CLK_SYS_SELECTED, 1u << 0);
    CLK_REF_CTRL = REF_FROM_XOSC;
    wait_for(&CLK_REF_SELECTED, 1u << REF_FROM_XOSC);
    CLK_PERI_CTRL = PERI_ENABLE | PERI_FROM_SYS;
}

void port_init(void)
{
    run_from_crystal();
    const uint32_t blocks = IO_BANK0 | PADS_BANK0 | UART0_BLOCK;
    SET(RESET) = UART0_BLOCK;
    CLEAR(RESET) = blocks;
    wait_for(&RESET_DONE, blocks);
    GPIO0_CTRL = FUNCTION_UART;
    GPIO1_CTRL = FUNCTION_UART;
    IBRD = DIVISOR_64 / 64;
    FBRD = DIVISOR_64 % 64;
    LCR_H = FIFOS_8_BITS; /* takes over the divisor as well */
    CR = UARTEN_TXE_RXE;
    le_systick_start();
}

void port_putc(uint8_t byte)
{
    while (FR & TXFF) {
    }
    DR = byte;
}

uint8_t port_getc(void)
{
    while (FR & RXFE) {
    }
    return (uint8_t)DR;
}

uint32_t port_counter(void) { return le_systick_count(); }

void port_exit(uint8_t code) { le_arch_exit(code); }
