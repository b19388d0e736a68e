/* ATmega2560 and ATmega328P: USART0, Timer 1 with the clock divided by 1,024. Both have these registers at the same
 * addresses.
 * Source: data sheets ATmega640/1280/1281/2560/2561 (2549) and ATmega48A/PA/88A/PA/168A/PA/328/P (DS40002061), chapters
 * USART and "16-bit Timer/Counter". */
#include "le_arch.h"
#include "le_port.h"

#define UCSR0A LE_REGISTER8(0xC0)
#define UCSR0B LE_REGISTER8(0xC1)
#define UCSR0C LE_REGISTER8(0xC2)
#define UBRR0L LE_REGISTER8(0xC4)
#define UBRR0H LE_REGISTER8(0xC5)
#define UDR0 LE_REGISTER8(0xC6)
#define RXC0 (1u << 7)
#define TXC0 (1u << 6)
#define UDRE0 (1u << 5)
#define U2X0 (1u << 1)

#define TCCR1B LE_REGISTER8(0x81)
#define TCNT1L LE_REGISTER8(0x84)
#define TCNT1H LE_REGISTER8(0x85)

/* A count of cycles in steps of 1,024. */
const uint8_t port_counter_unit = LE_COUNTER_CYCLES;
const uint32_t port_counter_mask = 0x3FFFFFFUL;

void port_init(void)
{
    const uint16_t divisor = (uint16_t)((LE_CLOCK_HZ + 4 * LE_BAUD) / (8 * LE_BAUD) - 1);
    UBRR0H = (uint8_t)(divisor >> 8);
    UBRR0L = (uint8_t)divisor;
    UCSR0A = U2X0;
    UCSR0C = 6;           /* 8 data bits, 1 stop bit */
    UCSR0B = (3u << 3);   /* RXEN0, TXEN0 */
    TCCR1B = 5;           /* clock / 1,024 */
}

void port_putc(uint8_t byte)
{
    while (!(UCSR0A & UDRE0)) {
    }
    UCSR0A = U2X0 | TXC0; /* writing 1 clears "all is sent" */
    UDR0 = byte;
}

uint8_t port_getc(void)
{
    while (!(UCSR0A & RXC0)) {
    }
    return UDR0;
}

uint32_t port_counter(void)
{
    const uint8_t low = TCNT1L; /* latches the high byte */
    return (uint32_t)((uint16_t)(low | (uint16_t)TCNT1H << 8)) << 10;
}

/* The core stops with the last byte still in the shift register, so wait for it. */
void port_exit(uint8_t code)
{
    while (!(UCSR0A & TXC0)) {
    }
    le_arch_exit(code);
}
