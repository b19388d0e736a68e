/* Espressif ESP32-C3 without its boot loader: UART0 on GPIO 21 and 20, the 40 MHz crystal, SYSTIMER.
 * Source: ESP32-C3 Technical Reference Manual, chapters Reset and Clock, System Timer, Watchdog Timers, UART Controller.
 *
 * After reset the pins 20 and 21 are UART0's (ESP32-C3 Series Datasheet, IO MUX). */
#include "le_arch.h"
#include "le_port.h"

#define WATCHDOG_KEY 0x50D83AA1u
#define SUPER_WATCHDOG_KEY 0x8F1D312Au
#define RTC_WDTCONFIG0 LE_REGISTER32(0x60008090u)
#define RTC_WDTWPROTECT LE_REGISTER32(0x600080A8u)
#define RTC_SWD_CONF LE_REGISTER32(0x600080ACu)
#define RTC_SWD_WPROTECT LE_REGISTER32(0x600080B0u)
#define SWD_AUTO_FEED_EN (1u << 31)
#define TIMG0_WDTCONFIG0 LE_REGISTER32(0x6001F048u)
#define WDT_CONF_UPDATE_EN (1u << 22) /* without it what is written waits */
#define TIMG0_WDTWPROTECT LE_REGISTER32(0x6001F064u)

#define SYSCLK_CONF LE_REGISTER32(0x600C0058u)
#define SYSCLK_FROM_CRYSTAL_UNDIVIDED 0u /* SOC_CLK_SEL 0, PRE_DIV_CNT 0; after reset the divisor is 2 */
#define SYSCLK_FIELDS 0xFFFu

#define UART 0x60000000u
#define FIFO LE_REGISTER32(UART + 0x00u)
#define CLKDIV LE_REGISTER32(UART + 0x14u)
#define STATUS LE_REGISTER32(UART + 0x1Cu)
#define CONF0 LE_REGISTER32(UART + 0x20u)
#define CLK_CONF LE_REGISTER32(UART + 0x78u)
#define ID LE_REGISTER32(UART + 0x80u)
#define RXFIFO_CNT 0x3FFu
#define TXFIFO_CNT (0x3FFu << 16)
#define TXFIFO_ALMOST_FULL (120u << 16) /* of 128 */
#define FORMAT_MASK 0x3Fu
#define EIGHT_BITS_NO_PARITY_ONE_STOP ((3u << 2) | (1u << 4))
#define SCLK_SEL_CRYSTAL (3u << 20)
#define SCLK_FIELDS ((3u << 20) | (0xFFu << 12) | 0xFFFu) /* source, divisor and its fraction */
#define SCLK_ENABLES ((1u << 25) | (1u << 24) | (1u << 22))
#define REG_UPDATE (1u << 31)
#define DIVISOR_16 ((LE_CLOCK_HZ * 16 + LE_BAUD / 2) / LE_BAUD) /* in 16ths */

#define SYSTIMER_UNIT0_OP LE_REGISTER32(0x60023004u)
#define SYSTIMER_UNIT0_VALUE_LO LE_REGISTER32(0x60023044u)
#define UPDATE (1u << 30)
#define VALUE_VALID (1u << 29)

#define PATIENCE 1000u /* looks at a flag that comes within a few cycles */

const uint8_t port_counter_unit = LE_COUNTER_TICKS; /* of 16 MHz */
const uint32_t port_counter_mask = 0xFFFFFFFFu;

/* The boot ROM leaves them on: they guard the boot loader that is not there. The super watchdog can only feed itself. */
static void stop_watchdogs(void)
{
    RTC_WDTWPROTECT = WATCHDOG_KEY;
    RTC_WDTCONFIG0 = 0;
    RTC_WDTWPROTECT = 0;
    TIMG0_WDTWPROTECT = WATCHDOG_KEY;
    TIMG0_WDTCONFIG0 = WDT_CONF_UPDATE_EN;
    TIMG0_WDTWPROTECT = 0;
    RTC_SWD_WPROTECT = SUPER_WATCHDOG_KEY;
    RTC_SWD_CONF |= SWD_AUTO_FEED_EN;
    RTC_SWD_WPROTECT = 0;
}

void port_init(void)
{
    stop_watchdogs();
    SYSCLK_CONF = (SYSCLK_CONF & ~SYSCLK_FIELDS) | SYSCLK_FROM_CRYSTAL_UNDIVIDED;
    while (STATUS & TXFIFO_CNT) { /* the boot ROM's last words */
    }
    CLK_CONF = (CLK_CONF & ~SCLK_FIELDS) | SCLK_SEL_CRYSTAL | SCLK_ENABLES;
    CLKDIV = (DIVISOR_16 % 16) << 20 | DIVISOR_16 / 16;
    CONF0 = (CONF0 & ~FORMAT_MASK) | EIGHT_BITS_NO_PARITY_ONE_STOP;
    ID |= REG_UPDATE;
}

void port_putc(uint8_t byte)
{
    while ((STATUS & TXFIFO_CNT) >= TXFIFO_ALMOST_FULL) {
    }
    FIFO = byte;
}

uint8_t port_getc(void)
{
    while (!(STATUS & RXFIFO_CNT)) {
    }
    return (uint8_t)FIFO;
}

uint32_t port_counter(void)
{
    SYSTIMER_UNIT0_OP = UPDATE;
    for (uint32_t patience = PATIENCE; patience > 0 && !(SYSTIMER_UNIT0_OP & VALUE_VALID); patience--) {
    }
    return SYSTIMER_UNIT0_VALUE_LO;
}

void port_exit(uint8_t code) { le_arch_exit(code); }
