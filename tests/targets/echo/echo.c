/* Firmware for the tests of the emulators: a banner, then it echoes. An escape byte begins a command:
 *
 *   ESC ESC    echoes one ESC
 *   ESC 'i' n  calls le_infer(n); replies the counter's difference and the result, little-endian uint32
 *   ESC 's'    says "aside" to the debugger, where there is one, and replies '.'
 *   ESC 'q' c  ends with exit code c
 */
#include "echo.h"

#define ESC 0x1b

static void put_u32(uint32_t value) {
    for (int i = 0; i < 4; i++) port_putc((uint8_t)(value >> 8 * i));
}

/* A step: its work depends on its arguments, and one branch on the data. */
__attribute__((noinline)) uint32_t le_infer_step(uint32_t state, uint8_t rounds) {
    volatile uint32_t before = state; /* a stack frame: no loop jumps back to the first instruction */
    for (uint8_t i = 0; i < rounds; i++) {
        if (state & 1) state = state * 5 + 1;
        state ^= state >> 3;
    }
    return state + before;
}

__attribute__((noinline)) uint32_t le_infer(uint8_t n) {
    uint32_t state = 0x1234567u + n;
    for (uint8_t i = 1; i < 4; i++) state = le_infer_step(state, (uint8_t)(n * i));
    return state;
}

/* The only caller of le_infer: where control is back here, the call is over. */
__attribute__((noinline)) void run_infer(uint8_t n) {
    uint32_t before = port_counter();
    uint32_t result = le_infer(n);
    uint32_t after = port_counter();
    put_u32(after - before);
    put_u32(result);
}

static void run_command(void) {
    int command = port_getc();
    if (command == 'i') run_infer((uint8_t)port_getc());
    else if (command == 's') port_say("aside\n"), port_putc('.');
    else if (command == 'q') port_exit(port_getc());
    else port_putc((uint8_t)command);
}

int main(void) {
    static const char banner[] = "lenet-edge echo\n"; /* its end is sent too */
    port_init();
    for (unsigned i = 0; i < sizeof banner; i++) port_putc((uint8_t)banner[i]);
    for (;;) {
        int byte = port_getc();
        if (byte == ESC) run_command();
        else port_putc((uint8_t)byte);
    }
}
