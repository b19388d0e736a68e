"""A board of one's own, by the README's recipe: one TOML, and for a new family of microcontrollers one folder of C."""

from __future__ import annotations

import json

import pytest
import workbench

from lenet_edge.resources import targets_folder

# A family that is not in firmware/port: TI's Stellaris. Cortex-M3, 256 KB of flash, 64 KB of RAM, an Arm PL011 as its
# UART. Source: LM3S6965 data sheet, chapters System Control, GPIO, UART. QEMU has a board with it.
TOML = """\
name = "my-stellaris"
title = "TI Stellaris LM3S6965"
source = "LM3S6965 data sheet"
status = "runs in an emulator"

[cpu]
core = "cortex-m3"
arch = "cortex_m"
clock_hz = 12_000_000
source = "LM3S6965 data sheet, System Control: internal oscillator, 12 MHz"

[flash]
origin = 0x00000000
size_bytes = 0x40000 # 256 KB
source = "LM3S6965 data sheet"

[ram]
origin = 0x20000000
size_bytes = 0x10000 # 64 KB
source = "LM3S6965 data sheet"

[stack]
size_bytes = 1024

[toolchain.gcc]
prefix = "arm-none-eabi-"
flags = ["-mcpu=cortex-m3", "-mthumb", "-mfloat-abi=soft"]

[port]
family = "stellaris"
defines = { LE_UART_BASE = 0x4000C000 }

[uart]
base = 0x4000C000
size_bytes = 0x1000
receive = { data = 0x00, ready = { offset = 0x18, mask = 0x10, value = 0x00 } }  # UARTDR, RXFE of UARTFR
transmit = { data = 0x00, ready = { offset = 0x18, mask = 0x20, value = 0x00 } } # UARTDR, TXFF of UARTFR
source = "LM3S6965 data sheet, UART0"

[emulator.unicorn]
cpu = "UC_CPU_ARM_CORTEX_M3"
plain_memory = [
    { origin = 0x40004000, size_bytes = 0x1000, source = "LM3S6965 data sheet, memory map: GPIO port A" },
    { origin = 0x400FE000, size_bytes = 0x1000, source = "LM3S6965 data sheet, memory map: system control" },
    { origin = 0xE000E000, size_bytes = 0x1000, source = "Armv7-M Architecture Reference Manual: SCS" },
]

[emulator.qemu]
system = "arm"
machine = "lm3s6965evb"
"""
PORT = """\
/* Stellaris: UART0 on PA0 and PA1, the internal oscillator, SysTick. Source: LM3S6965 data sheet. */
#include "le_arch.h"
#include "le_port.h"
#include "le_systick.h"

#define RCGC1 LE_REGISTER32(0x400FE104u)
#define RCGC2 LE_REGISTER32(0x400FE108u)
#define GPIOA_AFSEL LE_REGISTER32(0x40004420u)
#define GPIOA_DEN LE_REGISTER32(0x4000451Cu)
#define DR LE_REGISTER32(LE_UART_BASE + 0x00u)
#define FR LE_REGISTER32(LE_UART_BASE + 0x18u)
#define IBRD LE_REGISTER32(LE_UART_BASE + 0x24u)
#define FBRD LE_REGISTER32(LE_UART_BASE + 0x28u)
#define LCRH LE_REGISTER32(LE_UART_BASE + 0x2Cu)
#define CTL LE_REGISTER32(LE_UART_BASE + 0x30u)
#define RXFE (1u << 4)
#define TXFF (1u << 5)

const uint8_t port_counter_unit = LE_COUNTER_CYCLES;
const uint32_t port_counter_mask = 0xFFFFFFu;

void port_init(void)
{
    const uint32_t divisor = (4u * LE_CLOCK_HZ + LE_BAUD / 2) / LE_BAUD; /* in 64ths of 16 clocks */
    RCGC1 |= 1u << 0;
    RCGC2 |= 1u << 0;
    GPIOA_AFSEL |= 3u;
    GPIOA_DEN |= 3u;
    IBRD = divisor / 64u;
    FBRD = divisor % 64u;
    LCRH = 3u << 5; /* 8 bits */
    CTL = (1u << 9) | (1u << 8) | (1u << 0);
    le_systick_start();
}

void port_putc(uint8_t byte)
{
    while (FR & TXFF) {
    }
    DR = byte;
}

uint8_t port_getc(void)
{
    while (FR & RXFE) {
    }
    return (uint8_t)DR;
}

uint32_t port_counter(void) { return le_systick_count(); }

void port_exit(uint8_t code) { le_arch_exit(code); }
"""


def runs_with_every_logit_equal(cli, board, emulator):
    data = workbench.data_folder(cli.folder / "data", 25)
    arguments = ("run", "--board", board, "--model", cli.model, "--data", data, "--images", 25, "--emulator", emulator)
    done = cli(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (len(found["images"]), found["logits_differ"], found["emulator"]) == (25, 0, emulator)
    assert "self-test passed" in found["banner"]
    return found


@pytest.mark.parametrize("emulator", ["unicorn", "qemu"])
def test_a_new_family(cli, emulator):
    workbench.need("mps2-an385", "gcc", emulator)
    folder = cli.folder / "boards"
    (folder / "port" / "stellaris").mkdir(parents=True)
    (folder / "port" / "stellaris" / "port.c").write_text(PORT)
    (folder / "my-stellaris.toml").write_text(TOML)
    done = cli("build", "--board", folder / "my-stellaris.toml", "--model", cli.model, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["budget"] == {"flash_bytes": 256 * 1024, "ram_bytes": 64 * 1024}
    found = runs_with_every_logit_equal(cli, folder / "my-stellaris.toml", emulator)
    assert (found["board"], found["clock_hz"]) == ("my-stellaris", 12_000_000)


def test_another_board_of_a_family_that_is_there(cli):
    """An STM32F405 with its UART on USART3, PB10 and PB11: numbers of RM0090 and DS8626 in a TOML, and nothing else."""
    workbench.need("netduinoplus2", "gcc", "unicorn")
    text = (targets_folder() / "netduinoplus2.toml").read_text()
    for old, new in (
        ('name = "netduinoplus2"', 'name = "mine"'),
        ("LE_UART_BASE = 0x40011000", "LE_UART_BASE = 0x40004800"),
        ("LE_UART_RCC_ENR = 0x40023844", "LE_UART_RCC_ENR = 0x40023840"),
        ("LE_UART_RCC_BIT = 4 ", "LE_UART_RCC_BIT = 18 "),
        ("LE_UART_GPIO_BASE = 0x40020000", "LE_UART_GPIO_BASE = 0x40020400"),
        ("LE_UART_TX_PIN = 9", "LE_UART_TX_PIN = 10"),
        ("LE_UART_RX_PIN = 10\n", "LE_UART_RX_PIN = 11\n"),
        ("\nbase = 0x40011000", "\nbase = 0x40004800"),
        ("[emulator.qemu]\n", "[emulator.qemu]\nserial = 2\n"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (cli.folder / "mine.toml").write_text(text)
    runs_with_every_logit_equal(cli, "mine.toml", "unicorn")
    workbench.need("netduinoplus2", "gcc", "qemu")
    runs_with_every_logit_equal(cli, "mine.toml", "qemu")
