/* Runs each case's images; says by semihosting what differs, and what was touched or changed that should not be.
 *
 * Memory is fenced by the MPU (Armv8-M Architecture Reference Manual, DDI 0553: MPU_RBAR, MPU_RLAR), in units of 32
 * bytes. A buffer ends at a fence, or begins there, in turn; what lies between its other end and the other fence is
 * compared afterwards. SysTick interrupts all that, with a handler that uses vectors, predicates, a tail-predicated
 * loop, and the stack. */
#include "fenced.h"

enum { CODE, DATA, TABLE, OTHER_TABLE, INPUT, SCRATCH, OUTPUT, REGIONS };

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define CPACR REGISTER(0xE000ED88u)
#define CFSR REGISTER(0xE000ED28u)
#define MMFAR REGISTER(0xE000ED34u)
#define SYST_CSR REGISTER(0xE000E010u)
#define SYST_RVR REGISTER(0xE000E014u)
#define SYST_CVR REGISTER(0xE000E018u)
#define MPU_CTRL REGISTER(0xE000ED94u)
#define MPU_RNR REGISTER(0xE000ED98u)
#define MPU_RBAR REGISTER(0xE000ED9Cu)
#define MPU_RLAR REGISTER(0xE000EDA0u)
#define MPU_MAIR0 REGISTER(0xE000EDC0u)

#define READ_ONLY (2u << 1) /* MPU_RBAR.AP */
#define FILLING 0x5A

extern uint8_t stack_top[];
volatile uint32_t ticks;
static uint32_t current;

/* In and out of `call`: d8 to d15, then r4 to r11. VSTM is a fault where FPSCR.LTPSIZE is not 4. */
uint32_t preserved[24];
extern void call(void (*run)(const int8_t *, int8_t *, int8_t *), const int8_t *input, int8_t *scratch, int8_t *output);

__asm__(".text\n.thumb\n.syntax unified\n.global call\n.type call, %function\n.thumb_func\ncall:\n"
        "push {r4-r11, lr}\n"
        "vpush {d8-d15}\n"
        "sub sp, #4\n"
        "mov r12, r0\n"
        "ldr r0, =preserved\n"
        "vldm r0!, {d8-d15}\n"
        "ldm r0, {r4-r11}\n"
        "mov r0, r1\n"
        "mov r1, r2\n"
        "mov r2, r3\n"
        "blx r12\n"
        "ldr r0, =preserved\n"
        "vstm r0!, {d8-d15}\n"
        "stm r0, {r4-r11}\n"
        "add sp, #4\n"
        "vpop {d8-d15}\n"
        "pop {r4-r11, pc}\n"
        ".pool\n");

static void semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void say(const char *text, uint32_t number)
{
    char line[64];
    char *to = line;
    while (*text != 0) {
        *to++ = *text++;
    }
    *to++ = ' ';
    uint32_t power = 1000000000u;
    while (power > 1 && number / power == 0) {
        power /= 10;
    }
    for (; power != 0; power /= 10) {
        *to++ = (char)('0' + number / power % 10);
    }
    *to++ = '\n';
    *to = 0;
    semihost(0x04, line); /* SYS_WRITE0 */
}

static void leave(uint32_t code)
{
    const uint32_t block[2] = {0x20026u, code}; /* SYS_EXIT_EXTENDED, ADP_Stopped_ApplicationExit */
    for (;;) {
        semihost(0x20, block);
    }
}

void fault(void)
{
    say("fault in case", current);
    say("of address", MMFAR);
    say("of status", CFSR);
    leave(1);
}

/* Leaves nothing of what an exception's entry saves as it was: r0 to r3, r12, lr, q0 to q3, VPR, LTPSIZE. */
void tick(void)
{
    volatile uint8_t junk[256];
    for (uint32_t i = 0; i < sizeof junk; i++) {
        junk[i] = (uint8_t)~i;
    }
    const volatile uint8_t *from = junk;
    __asm__ volatile("dlstp.8 lr, %1\n"
                     "1:\n\t"
                     "vldrb.8 q0, [%0], #16\n\t"
                     "vadd.i8 q1, q0, q0\n\t"
                     "letp lr, 1b\n\t"
                     "vmov q2, q1\n\t"
                     "vmov q3, q0\n\t"
                     "vmsr p0, %2"
                     : "+r"(from)
                     : "r"(37), "r"(0x1234)
                     : "lr", "q0", "q1", "q2", "q3", "memory");
    ticks++;
}

static void allow(uint32_t region, uint32_t first, uint32_t bytes, uint32_t access)
{
    MPU_RNR = region;
    MPU_RLAR = 0;
    if (bytes != 0) {
        MPU_RBAR = (first & ~31u) | access;
        MPU_RLAR = ((first + bytes - 1u) & ~31u) | 1u;
    }
}

/* Where a buffer lies for a round: it ends, or begins, at a fence, or so many bytes behind it. */
static int8_t *place(uint32_t region, uint32_t bytes, uint32_t at_end, uint32_t behind)
{
    const uint32_t arena = region - TABLE;
    const uint32_t at = at_end ? ARENA_END(arena) - bytes : ARENA(arena) + behind;
    allow(region, at, bytes, region == INPUT ? READ_ONLY : 0);
    for (uint32_t i = at & ~31u; i < ((at + bytes + 31u) & ~31u); i++) {
        *(uint8_t *)i = FILLING;
    }
    return (int8_t *)at;
}

static int is_intact(const int8_t *at, uint32_t bytes)
{
    const uint32_t first = (uint32_t)at;
    int intact = 1;
    for (uint32_t i = first & ~31u; i < ((first + bytes + 31u) & ~31u); i++) {
        intact &= (i >= first && i < first + bytes) || *(uint8_t *)i == FILLING;
    }
    return intact;
}

static uint32_t run_image(const le_case *a, uint32_t image)
{
    const int8_t *const expected = (const int8_t *)le_data + a->expected + image * a->output_bytes;
    int8_t *const input = place(INPUT, a->input_bytes, image & 1, image >> 1);
    int8_t *const scratch = place(SCRATCH, a->scratch_bytes, (image >> 1) & 1, 0);
    int8_t *const output = place(OUTPUT, a->output_bytes, ~image & 1, image >> 1);
    for (uint32_t i = 0; i < a->input_bytes; i++) {
        input[i] = (int8_t)le_data[a->images + image * a->input_bytes + i];
    }
    for (uint32_t i = 0; i < sizeof preserved / sizeof *preserved; i++) {
        preserved[i] = 0xC0DE0000u + i;
    }
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    MPU_CTRL = 1;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    call(a->run, input, scratch, output);
    __asm__ volatile("dsb" ::: "memory");
    MPU_CTRL = 0;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    uint32_t bad = 0;
    for (uint32_t i = 0; i < a->output_bytes; i++) {
        bad |= output[i] != expected[i];
    }
    bad |= is_intact(scratch, a->scratch_bytes) && is_intact(output, a->output_bytes) ? 0 : 2;
    for (uint32_t i = 0; i < sizeof preserved / sizeof *preserved; i++) {
        bad |= preserved[i] == 0xC0DE0000u + i ? 0 : 4;
    }
    return bad;
}

__attribute__((noinline)) static void run_cases(void)
{
    MPU_MAIR0 = 0x44; /* Normal, not cached */
    allow(CODE, 0x60000000u, 0x4000000u, READ_ONLY);
    allow(DATA, 0x20000000u, 0x10000u, 0);
    SYST_RVR = 499;
    SYST_CVR = 0;
    SYST_CSR = 7;
    uint32_t failures = 0, images = 0;
    for (current = 0; current < le_case_count; current++) {
        const le_case *const a = &le_cases[current];
        for (uint32_t t = 0; t < 2; t++) {
            for (uint32_t i = 0; i < a->table_bytes[t]; i++) {
                ((uint8_t *)a->tables[t])[i] = le_data[a->contents[t] + i];
            }
            allow(TABLE + t, a->tables[t], a->table_bytes[t], READ_ONLY);
        }
        uint32_t bad = 0;
        for (uint32_t image = 0; image < a->count; image++, images++) {
            bad |= run_image(a, image);
        }
        if (bad != 0) {
            say("failed case", current);
            say("of kind", bad); /* 1 other values, 2 a canary, 4 a register */
            failures++;
        }
    }
    say("images", images);
    say("ticks", ticks);
    say("failures", failures);
    leave(failures != 0);
}

/* Vectors are enabled before anything that may use them: in its own function. */
void reset(void)
{
    CPACR |= 0xFu << 20;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    run_cases();
}

__attribute__((section(".vectors"), used)) void (*const vectors[16])(void) = {
    (void (*)(void))stack_top, reset, fault, fault, fault, fault, fault, fault, 0, 0, 0, fault, fault, 0, fault, tick,
};
