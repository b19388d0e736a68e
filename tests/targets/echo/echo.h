/* What the echo firmware needs of a machine. */
#pragma once
#include <stdint.h>

void port_init(void);
int port_getc(void);            /* waits for a byte */
void port_putc(uint8_t byte);
uint32_t port_counter(void);    /* instructions or cycles so far where the machine counts them, else 0 */
void port_say(const char *text); /* to the debugger: not to the UART */
void port_exit(int code) __attribute__((noreturn));
