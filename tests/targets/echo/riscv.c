/* SiFive E (QEMU's sifive_e): UART0 at 0x10013000, minstret, semihosting for the exit. */
#include "echo.h"

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define UART 0x10013000u
#define SYS_WRITE0 0x04
#define SYS_EXIT_EXTENDED 0x20
#define APPLICATION_EXIT 0x20026u

extern uint32_t le_bss_begin[], le_bss_end[];
int main(void);

/* The three instructions around ebreak make it a semihosting call; they must not be compressed. */
__asm__(".section .vectors,\"ax\"\n.globl _start\n_start:\n la sp, le_stack_top\n la t0, trap\n csrw mtvec, t0\n j reset\n"
        ".text\n.align 2\ntrap:\n li a0, 77\n j port_exit\n"
        ".option push\n.option norvc\n.align 4\nsemihost:\n slli x0, x0, 0x1f\n ebreak\n srai x0, x0, 7\n ret\n.option pop\n");
long semihost(long operation, const void *argument);

void port_init(void) {
    REGISTER(UART + 8) = 1;  /* TXCTRL: enable */
    REGISTER(UART + 12) = 1; /* RXCTRL: enable */
}

int port_getc(void) {
    uint32_t value;
    do value = REGISTER(UART + 4);
    while (value >> 31); /* empty */
    return (int)(value & 255);
}

void port_putc(uint8_t byte) {
    while (REGISTER(UART) >> 31) {} /* full */
    REGISTER(UART) = byte;
}

uint32_t port_counter(void) {
    uint32_t value;
    __asm__ volatile("csrr %0, minstret" : "=r"(value)::"memory");
    return value;
}

void port_say(const char *text) { semihost(SYS_WRITE0, text); }

void port_exit(int code) {
    uint32_t block[2] = {APPLICATION_EXIT, (uint32_t)code};
    __asm__ volatile("" ::"r"(block) : "memory");
    semihost(SYS_EXIT_EXTENDED, block);
    for (;;) {}
}

__attribute__((noreturn, used)) void reset(void) {
    for (uint32_t *word = le_bss_begin; word < le_bss_end; word++) *word = 0;
    main();
    port_exit(99);
}
