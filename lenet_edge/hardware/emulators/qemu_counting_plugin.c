/* A TCG plug-in for QEMU: the instructions of each call of one function, in parts.
 *
 *   -plugin LIBRARY,begin=A,step=B,low=C,high=D,out=FILE
 *
 * A call begins with the translation block at `begin` and ends before the first block that lies in
 * [low, high), the function that called it. A block at `step` begins the next part. Every call
 * appends one line to FILE at once: "total n0 n1 ...", n0 being what ran before the first step.
 *
 * An instruction that an IT block skips counts: it is fetched and takes its time on a Cortex-M too.
 * A block's length is added when the block is entered. That is exact where no block is left half-way:
 * only a fault, or a device access under -icount, does so.
 *
 * The declarations below are all of QEMU's plug-in interface that is used, in its version 1, the one of
 * Debian 12's QEMU 7.2. That package comes without qemu-plugin.h, and the header of another version could
 * disagree with the QEMU that loads this. A QEMU that wants another version says so and does not start.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info qemu_info_t; /* never looked into */
struct qemu_plugin_tb;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
typedef void (*vcpu_tb_trans_cb)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*vcpu_udata_cb)(unsigned int vcpu, void *userdata);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, vcpu_tb_trans_cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, vcpu_udata_cb, enum qemu_plugin_cb_flags, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);

EXPORT int qemu_plugin_version = 1;

enum kind { PLAIN, BEGIN, STEP, CALLER };
enum { KIND_BITS = 2, MAX_PARTS = 512 };

static uint64_t begin_address, step_address, caller_low, caller_high;
static int out = -1;
static int running;
static size_t part; /* the one that is being counted */
static uint64_t counts[MAX_PARTS];

static void write_line(void) {
    static char line[24 * (MAX_PARTS + 1)];
    uint64_t total = 0;
    for (size_t i = 0; i <= part; i++) total += counts[i];
    int length = sprintf(line, "%llu", (unsigned long long)total);
    for (size_t i = 0; i <= part; i++) length += sprintf(line + length, " %llu", (unsigned long long)counts[i]);
    line[length++] = '\n';
    if (write(out, line, (size_t)length) != length) perror("lenet-edge: counts");
}

static void start_call(void) {
    running = 1;
    part = 0;
    counts[0] = 0;
}

static void next_part(void) {
    if (part + 1 < MAX_PARTS) counts[++part] = 0;
}

/* Once per entry of a block; `packed` has its number of instructions and its kind. */
static void enter_block(unsigned int vcpu, void *packed) {
    enum kind kind = (uintptr_t)packed & ((1u << KIND_BITS) - 1);
    (void)vcpu;
    if (!running) {
        if (kind != BEGIN) return;
        start_call();
    } else if (kind == STEP) {
        next_part();
    } else if (kind == CALLER) {
        running = 0;
        write_line();
        return;
    }
    counts[part] += (uintptr_t)packed >> KIND_BITS;
}

static enum kind kind_of(uint64_t address) {
    if (address == begin_address) return BEGIN;
    if (address == step_address) return STEP;
    return address >= caller_low && address < caller_high ? CALLER : PLAIN;
}

static void translate_block(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    uintptr_t packed = (uintptr_t)qemu_plugin_tb_n_insns(block) << KIND_BITS | kind_of(qemu_plugin_tb_vaddr(block));
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, enter_block, QEMU_PLUGIN_CB_NO_REGS, (void *)packed);
}

/* Takes one "name=value"; 0 where it is none of ours. */
static int take_option(const char *option) {
    const char *value = strchr(option, '=');
    size_t length = value ? (size_t)(value - option) : 0;
    static const struct { const char *name; uint64_t *address; } addresses[] = {
        {"begin", &begin_address}, {"step", &step_address}, {"low", &caller_low}, {"high", &caller_high}};
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
        if (length == strlen(addresses[i].name) && !strncmp(option, addresses[i].name, length)) {
            *addresses[i].address = strtoull(value + 1, NULL, 0);
            return 1;
        }
    if (length != 3 || strncmp(option, "out", 3)) return 0;
    out = open(value + 1, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (out < 0) perror(value + 1);
    return out >= 0;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++)
        if (!take_option(argv[i])) {
            fprintf(stderr, "lenet-edge: the counting plug-in cannot take %s\n", argv[i]);
            return -1;
        }
    if (out < 0) return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate_block);
    return 0;
}
