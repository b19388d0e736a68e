/* Start-up of a Cortex-M (Armv6-M to Armv8.1-M): vector table, memory, faults.
 * Source: Armv7-M Architecture Reference Manual (DDI 0403), B1.5; Armv6-M (DDI 0419), B1.5. */
#include "le_arch.h"

#define VTOR (*(volatile uint32_t *)0xE000ED08u)  /* Vector Table Offset Register, B3.2.5 */
#define CPACR (*(volatile uint32_t *)0xE000ED88u) /* Coprocessor Access Control Register, B3.2.20 */

void le_reset(void);
void le_start(void);
void le_fault_entry(void);

/* No interrupt is ever enabled, so the table ends with the system's exceptions. */
__attribute__((section(".vectors"), used)) void (*const le_vectors[16])(void) = {
    (void (*)(void))(uintptr_t)le_stack_top,
    le_reset,
    le_fault_entry, /* NMI */
    le_fault_entry, /* HardFault */
    le_fault_entry, /* MemManage */
    le_fault_entry, /* BusFault */
    le_fault_entry, /* UsageFault */
    le_fault_entry, /* SecureFault */
    0,
    0,
    0,
    le_fault_entry, /* SVCall */
    le_fault_entry, /* DebugMonitor */
    0,
    le_fault_entry, /* PendSV */
    le_fault_entry, /* SysTick */
};

/* A boot loader that started us has its own vector table: from here on faults are ours. Armv6-M need not have the
 * register.
 *
 * Compilers vectorise loops with MVE, so it must be enabled before the first loop: in its own function. */
__attribute__((used, noreturn)) void le_reset(void)
{
#if __ARM_ARCH >= 7
    VTOR = (uint32_t)(uintptr_t)le_vectors;
#endif
#if defined(__ARM_FEATURE_MVE) || defined(__ARM_FP)
    CPACR |= 0xFu << 20;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    le_start();
    for (;;) {
    }
}

__attribute__((used, noinline)) void le_start(void)
{
    const uint8_t *from = le_data_load;
    for (uint8_t *to = le_data_start; to < le_data_end;) {
        *to++ = *from++;
    }
    for (uint8_t *to = le_bss_start; to < le_bss_end;) {
        *to++ = 0;
    }
    uint8_t *here;
    __asm__ volatile("mov %0, sp" : "=r"(here));
    for (volatile uint8_t *to = le_stack_bottom; to < here - 32;) { /* this loop may need some stack itself */
        *to++ = LE_STACK_PAINT;
    }
    (void)main();
}

/* The exception frame, of which word 6 is the program counter, is on the stack that was in use; where that is not in
 * RAM, there is none to be read. The stack is begun again: the fault may be its overflow. */
__attribute__((used, noreturn)) void le_fault_on_fresh_stack(const uint32_t *frame)
{
    const uint8_t *const at = (const uint8_t *)frame;
    le_fault(at >= le_data_start && at + 32 <= le_stack_top ? frame[6] : 0);
    for (;;) {
    }
}

__attribute__((naked, used)) void le_fault_entry(void)
{
    __asm__ volatile("mov r0, sp\n\t"
                     "ldr r1, =le_stack_top\n\t"
                     "mov sp, r1\n\t"
                     "ldr r1, =le_fault_on_fresh_stack\n\t"
                     "bx r1");
}

/* SYS_EXIT_EXTENDED, ADP_Stopped_ApplicationExit: Arm, "Semihosting for AArch32 and AArch64", 0x20. Without a debugger
 * the breakpoint is a fault, and a fault within the fault handler locks the core up: it stops, which is what we want. */
void le_arch_exit(uint8_t code)
{
    const uint32_t block[2] = {0x20026u, code};
    register uint32_t operation __asm__("r0") = 0x20u;
    register const uint32_t *argument __asm__("r1") = block;
    for (;;) {
        __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(argument) : "memory");
    }
}
