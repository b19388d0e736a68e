/* What the firmware needs of a microcontroller: the five functions and two constants that port/FAMILY/port.c defines. */
#ifndef LE_PORT_H
#define LE_PORT_H

#include <stdint.h>

#include "le_board.h" /* generated: LE_CLOCK_HZ, and what the board's TOML defines for its port */

#define LE_BAUD 115200UL

/* A register at an address. */
#define LE_REGISTER32(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define LE_REGISTER8(address) (*(volatile uint8_t *)(uintptr_t)(address))

enum { LE_COUNTER_NONE = 0, LE_COUNTER_CYCLES = 1, LE_COUNTER_INSTRUCTIONS = 2, LE_COUNTER_TICKS = 3 };

/* Clocks, the UART with 8 data bits, no parity, LE_BAUD, and the counter. Called once, before anything else here. */
void port_init(void);

/* Sends a byte; waits while there is no room for it. */
void port_putc(uint8_t byte);

/* Receives a byte; waits until there is one. */
uint8_t port_getc(void);

/* A counter that runs upwards, modulo port_counter_mask + 1. On silicon it counts what port_counter_unit says; in an
 * emulator that counts no cycles its value means nothing. */
uint32_t port_counter(void);
extern const uint8_t port_counter_unit;
extern const uint32_t port_counter_mask;

/* Ends the program: in an emulator it ends with that exit status, on silicon the core stops. Does not return. */
void port_exit(uint8_t code);

#endif
