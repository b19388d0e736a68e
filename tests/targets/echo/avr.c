/* ATmega2560: USART0, and the exit code in GPIOR0 before a sleep that nothing can end. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

#include "echo.h"

void port_init(void) {
    UBRR0 = 0;
    UCSR0A = 1 << U2X0;
    UCSR0B = 1 << RXEN0 | 1 << TXEN0;
    UCSR0C = 1 << UCSZ01 | 1 << UCSZ00;
    TCCR1B = 1 << CS10; /* counts cycles */
#ifdef TICKING
    TCCR0B = 1 << CS00;
    TIMSK0 = 1 << TOIE0;
    sei();
#endif
}

#ifdef TICKING
static volatile uint8_t ticks;
ISR(TIMER0_OVF_vect) { ticks++; }
#endif

int port_getc(void) {
    while (!(UCSR0A & 1 << RXC0)) {}
    return UDR0;
}

void port_putc(uint8_t byte) {
    while (!(UCSR0A & 1 << UDRE0)) {}
    UDR0 = byte;
}

uint32_t port_counter(void) { return TCNT1; } /* cycles, modulo 65,536 */

void port_say(const char *text) { (void)text; }

void port_exit(int code) {
#ifdef CRASHING
    __asm__ volatile("jmp 0x3fff0"); /* the end of the flash, where nothing is */
#endif
    GPIOR0 = (uint8_t)code;
    cli();
    sleep_enable();
    sleep_cpu();
    for (;;) {}
}
