/* Runs AVR firmware on libsimavr: USART0 is stdin and stdout, the exit status is the firmware's.
 *
 *   simavr_host MCU CLOCK_HZ ELF [BEGIN STEP LOW HIGH OUT]
 *
 * Firmware ends by writing its exit code to GPIOR0 and sleeping with interrupts off. A crash
 * (a wild jump, the watchdog) is status 70. The end of stdin is status 0 once the firmware has
 * taken every byte and waits for more.
 *
 * With the last five arguments every call of the function at byte address BEGIN appends a line to
 * OUT, "total n0 n1 ... | cycles total c0 c1 ...": instructions and clock cycles before the first entry
 * of STEP, then from each entry of STEP; the call is over where pc is in [LOW, HIGH), its caller.
 * Interrupt handlers are left out, so that a call costs the same whenever it is made.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <simavr/sim_irq.h>

enum {
    GPIOR0 = 0x3E,         /* data address; ATmega640/1280/1281/2560/2561 data sheet, register summary */
    STATUS_CRASHED = 70,
    STATUS_USAGE = 64,
    WAITING_POLLS = 16,    /* so many looks at an idle UART in a row, and the firmware waits for a byte */
    TIGHT_CYCLES = 64,     /* the longest loop that looks at the UART and does nothing else */
    WAIT_MS = 20,          /* longest pause of the simulation; then the firmware may look at its clock */
    FLUSH_PERIOD = 1 << 16, /* instructions between two flushes while the firmware is busy */
    MAX_PARTS = 512
};

static avr_t *avr;
static avr_uart_t *uart;
static avr_irq_t *uart_input;
static uint8_t exit_code;

/* ---- stdout ---- */

static int out_descriptor;
static uint8_t out_bytes[4096];
static size_t out_length;

static void flush_out(void) {
    size_t done = 0;
    while (done < out_length) {
        ssize_t n = write(out_descriptor, out_bytes + done, out_length - done);
        if (n < 0 && errno != EINTR) exit(0); /* nobody listens any more */
        if (n > 0) done += (size_t)n;
    }
    out_length = 0;
}

static void on_output(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq, (void)param;
    out_bytes[out_length++] = (uint8_t)value;
    if (out_length == sizeof out_bytes) flush_out();
}

/* ---- stdin ---- */

static uint8_t in_bytes[65536];
static size_t in_next, in_end;
static int in_over;   /* end of stdin met */
static int finished;  /* ... and the firmware waits for more */
static int fifo_full; /* between XOFF and XON */

/* Waits up to `wait_ms` for stdin and takes what it has. */
static void fetch(int wait_ms) {
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    if (in_next < in_end || in_over) return;
    if (wait_ms) flush_out();
    if (poll(&in, 1, wait_ms) <= 0) return;
    ssize_t n = read(STDIN_FILENO, in_bytes, sizeof in_bytes);
    in_next = 0;
    in_end = n > 0 ? (size_t)n : 0;
    in_over = n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

static void feed(void) {
    while (!fifo_full && in_next < in_end) avr_raise_irq(uart_input, in_bytes[in_next++]);
}

/* The firmware waits for a byte and there is none: wait with it. */
static void wait_for_input(void) {
    fetch(WAIT_MS);
    if (in_over && in_next == in_end) finished = 1;
}

/* The UART's receiver is empty. simavr says so whenever the firmware reads the UART's status, also
 * where it only waits for the transmitter; it waits for a byte if nothing is being sent and it does
 * nothing but look. Until then stdin is not asked at every look: a system call costs 100 of them. */
static void on_xon(avr_irq_t *irq, uint32_t value, void *param) {
    static avr_cycle_count_t last;
    static int polls;
    (void)irq, (void)value, (void)param;
    fifo_full = 0;
    if (in_next == in_end) {
        int tight = avr->cycle - last < TIGHT_CYCLES;
        last = avr->cycle;
        polls = tight && !uart->tx_cnt ? polls + 1 : 0;
        if (polls >= WAITING_POLLS) wait_for_input();
        else if (!tight) fetch(0);
    }
    feed();
}

/* Firmware that receives by interrupt does not look at the status. */
static void feed_interrupts(void) {
    if (!avr_regbit_get(avr, uart->rxc.enable)) return;
    fetch(0);
    feed();
}

static void on_xoff(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq, (void)param;
    fifo_full = value != 0;
}

/* Instead of simavr's pause in real time. `cycles` is how long the AVR sleeps if nothing comes in. */
static void on_sleep(avr_t *sleeper, avr_cycle_count_t cycles) {
    (void)sleeper, (void)cycles;
    int idle = !uart->tx_cnt && !avr_regbit_get(avr, uart->rxc.raised) && uart->input.read == uart->input.write;
    if (!idle || in_next < in_end) fetch(0);
    else wait_for_input();
    if (avr_regbit_get(avr, uart->rxen)) feed();
}

/* ---- counting ---- */

static uint32_t begin_pc, step_pc, caller_low, caller_high;
static int count_descriptor = -1;
static int counting;
static size_t part;
static uint64_t instructions[MAX_PARTS], cycles[MAX_PARTS];

static int append_figures(char *to, const uint64_t *figures) {
    uint64_t total = 0;
    for (size_t i = 0; i <= part; i++) total += figures[i];
    int length = sprintf(to, "%llu", (unsigned long long)total);
    for (size_t i = 0; i <= part; i++) length += sprintf(to + length, " %llu", (unsigned long long)figures[i]);
    return length;
}

static void write_line(void) {
    static char line[48 * (MAX_PARTS + 1) + 16];
    int length = append_figures(line, instructions);
    length += sprintf(line + length, " | cycles ");
    length += append_figures(line + length, cycles);
    line[length++] = '\n';
    if (write(count_descriptor, line, (size_t)length) != length) perror("simavr_host: counts");
}

/* Before each instruction that is not an interrupt handler's: begins, divides and ends a call. */
static void look_at_pc(void) {
    if (!counting) {
        if (avr->pc != begin_pc) return;
        counting = 1;
        part = 0;
        instructions[0] = cycles[0] = 0;
    } else if (avr->pc == step_pc) {
        if (part + 1 < MAX_PARTS) part++, instructions[part] = cycles[part] = 0;
    } else if (avr->pc >= caller_low && avr->pc < caller_high) {
        counting = 0;
        write_line();
    }
}

static int run_counted(void) {
    if (avr->state != cpu_Running || avr->interrupts.running_ptr) return avr_run(avr);
    look_at_pc();
    if (!counting) return avr_run(avr);
    avr_cycle_count_t before = avr->cycle;
    int state = avr_run(avr);
    instructions[part]++;
    cycles[part] += avr->cycle - before;
    return state;
}

/* ---- set-up ---- */

static void on_exit_code(avr_t *writer, avr_io_addr_t address, uint8_t value, void *param) {
    (void)param;
    writer->data[address] = exit_code = value;
}

static void log_errors(avr_t *source, const int level, const char *format, va_list arguments) {
    (void)source;
    if (level <= LOG_ERROR) vfprintf(stderr, format, arguments);
}

static avr_uart_t *find_uart0(void) {
    for (avr_io_t *io = avr->io_port; io; io = io->next)
        if (io->kind && !strcmp(io->kind, "uart") && ((avr_uart_t *)io)->name == '0') return (avr_uart_t *)io;
    fprintf(stderr, "simavr_host: %s has no UART0\n", avr->mmcu);
    exit(STATUS_USAGE);
}

static void connect_uart(void) {
    uint32_t flags = 0; /* neither its own printing nor its own pauses */
    uart = find_uart0();
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_t *irqs = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), 0);
    uart_input = irqs + UART_IRQ_INPUT;
    avr_irq_register_notify(irqs + UART_IRQ_OUTPUT, on_output, NULL);
    avr_irq_register_notify(irqs + UART_IRQ_OUT_XON, on_xon, NULL);
    avr_irq_register_notify(irqs + UART_IRQ_OUT_XOFF, on_xoff, NULL);
}

static void load(const char *mcu, const char *clock_hz, const char *elf) {
    elf_firmware_t firmware;
    memset(&firmware, 0, sizeof firmware);
    avr_global_logger_set(log_errors);
    if (elf_read_firmware(elf, &firmware)) {
        fprintf(stderr, "simavr_host: %s is not firmware that simavr can read\n", elf);
        exit(STATUS_USAGE);
    }
    avr = avr_make_mcu_by_name(mcu);
    if (!avr) {
        fprintf(stderr, "simavr_host: simavr has no %s\n", mcu);
        exit(STATUS_USAGE);
    }
    avr_init(avr);
    firmware.frequency = (uint32_t)strtoul(clock_hz, NULL, 0);
    avr_load_firmware(avr, &firmware);
    avr->sleep = on_sleep;
    avr_register_io_write(avr, GPIOR0, on_exit_code, NULL);
}

static void set_count(char **arguments) {
    begin_pc = (uint32_t)strtoul(arguments[0], NULL, 0);
    step_pc = (uint32_t)strtoul(arguments[1], NULL, 0);
    caller_low = (uint32_t)strtoul(arguments[2], NULL, 0);
    caller_high = (uint32_t)strtoul(arguments[3], NULL, 0);
    count_descriptor = open(arguments[4], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (count_descriptor >= 0) return;
    perror(arguments[4]);
    exit(STATUS_USAGE);
}

int main(int argc, char **argv) {
    if (argc != 4 && argc != 9) {
        fprintf(stderr, "usage: simavr_host MCU CLOCK_HZ ELF [BEGIN STEP LOW HIGH OUT]\n");
        return STATUS_USAGE;
    }
    /* Parts of simavr print to stdout whatever the logger says: stdout is stderr for them. */
    out_descriptor = dup(STDOUT_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    load(argv[1], argv[2], argv[3]);
    connect_uart();
    if (argc == 9) set_count(argv + 4);
    int state = cpu_Running;
    for (uint32_t turn = 1; state != cpu_Done && state != cpu_Crashed && !finished; turn++) {
        state = argc == 9 ? run_counted() : avr_run(avr);
        if (turn % FLUSH_PERIOD == 0) flush_out(), feed_interrupts();
    }
    flush_out();
    if (state == cpu_Crashed) {
        fprintf(stderr, "simavr_host: the firmware crashed at pc 0x%05x\n", avr->pc);
        return STATUS_CRASHED;
    }
    return finished ? 0 : exit_code;
}
