/* Answers the CPUID instructions that older_host.py has made breakpoints: what the processor says, without AVX-512, VNNI
 * and AMX. Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, CPUID, leaf 7. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <ucontext.h>

#define BIT(n) (1u << (n))
#define EBX_LATER (BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31)) /* AVX-512 */
#define ECX_LATER (BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14)) /* VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ */
#define EDX_LATER (BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25)) /* AVX-512, AMX */

static unsigned answered;

static void answer(int number, siginfo_t *about, void *context)
{
    greg_t *const registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned leaf = (unsigned)registers[REG_RAX], part = (unsigned)registers[REG_RCX];
    unsigned a, b, c, d;
    (void)number, (void)about;
    __cpuid_count(leaf, part, a, b, c, d);
    if (leaf == 7 && part == 0) {
        b &= ~EBX_LATER;
        c &= ~ECX_LATER;
        d &= ~EDX_LATER;
    } else if (leaf == 7) {
        a = b = c = d = 0; /* AVX-VNNI and what came later */
    }
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    answered++;
}

__attribute__((constructor)) static void begin(void)
{
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
}

__attribute__((destructor)) static void end(void)
{
    if (answered != 0) {
        fprintf(stderr, "%u CPUID instructions were answered\n", answered);
    }
}
