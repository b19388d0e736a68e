/* Start-up of a 32-bit RISC-V core in machine mode: memory, traps.
 * Source: The RISC-V Instruction Set Manual, volume II, 3.1 (machine-level CSRs). */
#include "le_arch.h"

void le_start(void);

/* The first instructions of the image. Some chips begin at an alias of the flash's address: the first jump is to what the
 * image was linked for, before anything is addressed relative to the program counter.
 * mtvec takes the trap's address in direct mode: its low bits are 0, two of them by the manual, six on Nuclei's cores, eight
 * on the ESP32-C3, which knows the vectored mode only and takes exceptions at the table's first entry.
 * The trap begins the stack again, for it may be the stack's overflow, which can have overwritten all RAM: whether it is
 * the first trap is in mscratch. A breakpoint without a debugger is a trap too, so that the exit of the first ends in a
 * second one: then stop. */
#define ENTER                                                                                                          \
    ".section .vectors, \"ax\"\n"                                                                                       \
    ".globl le_reset\n"                                                                                                \
    "le_reset:\n"                                                                                                      \
    "    .option push\n"                                                                                               \
    "    .option norelax\n"                                                                                            \
    "    lui t0, %hi(1f)\n"                                                                                            \
    "    jr t0, %lo(1f)\n"                                                                                             \
    "1:\n"                                                                                                             \
    "    la gp, __global_pointer$\n"                                                                                   \
    "    .option pop\n"                                                                                                \
    "    la sp, le_stack_top\n"
#ifdef __riscv_32e
/* A trap starts again at address 0, where the flash is mapped, too: direct mode, whatever a boot loader or a debugger left
 * in mtvec. Not tried on a chip. */
__asm__(ENTER "    csrw mtvec, zero\n"
              "    j le_start\n"
              ".text\n");
#else
__asm__(ENTER "    la t0, le_trap\n"
              "    csrw mtvec, t0\n"
              "    csrw mscratch, zero\n"
              "    j le_start\n"
              ".section .text.le_trap, \"ax\"\n"
              "    .balign 256\n"
              "le_trap:\n"
              "    la sp, le_stack_top\n"
              "    csrrw sp, mscratch, sp\n"
              "1:  bnez sp, 1b\n"
              "    csrr sp, mscratch\n"
              "    csrr a0, mepc\n"
              "    j le_fault\n"
              ".text\n");
#endif

__attribute__((used)) void le_start(void)
{
    const uint8_t *from = le_data_load;
    for (uint8_t *to = le_data_start; to < le_data_end;) {
        *to++ = *from++;
    }
    for (uint8_t *to = le_bss_start; to < le_bss_end;) {
        *to++ = 0;
    }
    uint8_t *here;
    __asm__ volatile("mv %0, sp" : "=r"(here));
    for (volatile uint8_t *to = le_stack_bottom; to < here - 32;) { /* this loop may need some stack itself */
        *to++ = LE_STACK_PAINT;
    }
    (void)main();
    for (;;) {
    }
}

/* SYS_EXIT_EXTENDED by the RISC-V semihosting sequence, three uncompressed instructions that do not cross a page:
 * RISC-V Semihosting, version 1.0, section 2. */
__asm__(".text\n"
        ".option push\n"
        ".option norvc\n"
        ".balign 16\n"
        "le_semihosting_call:\n"
        "    slli x0, x0, 0x1f\n"
        "    ebreak\n"
        "    srai x0, x0, 7\n"
        "    ret\n"
        ".option pop\n");
void le_semihosting_call(uint32_t operation, const uint32_t *argument);

void le_arch_exit(uint8_t code)
{
    const volatile uint32_t block[2] = {0x20026u, code};
    for (;;) {
        le_semihosting_call(0x20u, (const uint32_t *)block);
    }
}
