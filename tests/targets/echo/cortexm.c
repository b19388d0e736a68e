/* Arm MPS2 (AN385, AN386, AN500): CMSDK UART at 0x40004000, semihosting for the exit. */
#include "echo.h"

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define UART 0x40004000u
#define SYS_WRITE0 0x04
#define SYS_EXIT_EXTENDED 0x20
#define APPLICATION_EXIT 0x20026u

extern uint32_t le_stack_top[], le_bss_begin[], le_bss_end[];
int main(void);

void port_init(void) {
    REGISTER(UART + 0x10) = 16; /* BAUDDIV, at least 16 */
    REGISTER(UART + 0x08) = 3;  /* CTRL: receive, send */
    /* SysTick runs: with it QEMU looks at the UART's input far more often. */
    REGISTER(0xE000E014u) = 0xFFFFFF;
    REGISTER(0xE000E018u) = 0;
    REGISTER(0xE000E010u) = 5;
}

int port_getc(void) {
    while (!(REGISTER(UART + 4) & 2)) {}
    return (int)(REGISTER(UART) & 255);
}

void port_putc(uint8_t byte) {
    while (REGISTER(UART + 4) & 1) {}
    REGISTER(UART) = byte;
}

uint32_t port_counter(void) { return 0; }

static void semihost(uint32_t operation, const void *argument) {
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void port_say(const char *text) { semihost(SYS_WRITE0, text); }

void port_exit(int code) {
    uint32_t block[2] = {APPLICATION_EXIT, (uint32_t)code};
    semihost(SYS_EXIT_EXTENDED, block);
    for (;;) {}
}

__attribute__((noreturn)) void reset(void) {
    for (uint32_t *word = le_bss_begin; word < le_bss_end; word++) *word = 0;
    main();
    port_exit(99);
}

static void fault(void) { port_exit(77); }

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    le_stack_top, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault};
