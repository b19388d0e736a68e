"""What validation refuses of a board whose file can be read."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from board_files import TEXTS, changed, refused

from lenet_edge.errors import BadInputError
from lenet_edge.hardware import boards
from lenet_edge.hardware.boards import Region, load, parse, validate


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ('name = "microbit"', 'name = "other"', ["'other' is not the file's", "other.toml"]),
        ('name = "microbit"', 'name = "Micro bit"', ["characters other than a-z"]),
        ('status = "runs in an emulator"', 'status = "works"', ["'works' is neither"]),
        ("clock_hz = 16_000_000", "clock_hz = 0", ["[cpu] clock_hz is 0"]),
        ("size_bytes = 0x40000", "size_bytes = 0", ["[flash] size_bytes is 0"]),
        ("origin = 0x20000000", "origin = 0x20000002", ["[ram]", "multiples of 4"]),
        ("size_bytes = 0x4000 ", "size_bytes = 0x4001 ", ["[ram]", "multiples of 4"]),
        ("origin = 0x00000000", "origin = 0x00000040", ["[flash] origin 0x40 is not a multiple of 128"]),
        ("origin = 0x20000000", "origin = 0xFFFFF000", ["[ram] ends at 0x100003000, outside of 32 bits"]),
        ("origin = 0x20000000", "origin = 0x3FFFC", ["[flash] and [ram] overlap"]),
        ("origin = 0x40008000", "origin = 0x40002000", ["[uart] and [emulator.unicorn.plain_memory.1] overlap"]),
        ("origin = 0x40008000", "origin = 0x40001800", ["plain_memory.1] overlap (Unicorn maps whole pages"]),
        ("size_bytes = 1024", "size_bytes = 0", ["[stack] size_bytes is 0"]),
        ("size_bytes = 1024", "size_bytes = 0x4004", ["[stack] size_bytes is 16388", "16384 of RAM"]),
        ("[stack]", "[budget]\nflash_bytes = 0x40001\n[stack]", ["[budget] flash_bytes is 262145"]),
        ("[stack]", "[budget]\nram_bytes = 0\n[stack]", ["[budget] ram_bytes is 0"]),
        ('"-mthumb"', '"mthumb"', ["[toolchain.gcc] flags: 'mthumb' does not start with '-'"]),
        ('cpu = "cortex_m0"', 'cpu = "cortex_m0"\nflags = ["x"]', ["[toolchain.zig] flags: 'x'"]),
        ('arch = "cortex_m"', 'arch = "cortexm"', ["[cpu] arch", "'cortexm'", "Did you mean 'cortex_m'?"]),
        ('arch = "cortex_m"', 'arch = ".."', ["no folder '..' in firmware/arch", "Known: avr, cortex_m, riscv"]),
        ('family = "nrf51"', 'family = "nrf5"', ["[port] family", "Did you mean 'nrf5"]),
        ("LE_UART_TX_PIN", "UART_TX_PIN", ["'UART_TX_PIN' is not a name like"]),
        ("LE_UART_TX_PIN = 24", 'LE_UART_TX_PIN = "1; 2"', ["'1; 2' is not one C name or number"]),
        ("UC_CPU_ARM_CORTEX_M0", "CORTEX_M0", ["[emulator.unicorn] cpu 'CORTEX_M0' is not a constant"]),
        ("UC_CPU_ARM_CORTEX_M0", "UC_CPU_RISCV32_ANY", ["is not a constant of Unicorn for arch 'cortex_m'"]),
        ('machine = "microbit"', 'machine = "microbit"\nserial = 16', ["[emulator.qemu] serial 16 is not below 16"]),
        ('system = "arm"', 'system = "aarch64"', ["[emulator.qemu] system 'aarch64'", "arm, riscv32"]),
        ("mask = 0x1, value = 0x1", "mask = 0x1, value = 0x2", ["[uart.receive.ready] value 0x2", "mask 0x1"]),
        ("mask = 0x1, value = 0x1", "mask = 0, value = 0", ["[uart.receive.ready]", "mask 0x0"]),
        (", ready = { offset = 0x108, mask = 0x1, value = 0x1 }", "", ["[uart.receive] has neither ready nor empty"]),
        ("data = 0x518", "data = 0x1000", ["[uart] receive.data 0x1000 is not inside its 0x1000 bytes"]),
        ("offset = 0x11C", "offset = 0x2000", ["[uart] transmit.ready.offset 0x2000"]),
    ],
)  # fmt: skip
def test_what_validation_refuses(old, new, parts):
    name = "Micro bit" if "Micro bit" in new else "microbit"
    refused(changed(old, new), *parts, name=name)


def test_a_board_needs_a_toolchain():
    text = re.sub(r"\[toolchain\.gcc\]\n(.+\n)+", "[toolchain]\n", TEXTS["atmega2560"])
    refused(text, "neither [toolchain.gcc] nor [toolchain.zig]", name="atmega2560")


def test_what_runs_in_an_emulator_needs_one():
    text = re.sub(r"\[emulator\.simavr\]\n(.+\n)+", "", TEXTS["atmega2560"])
    refused(text, "there is no [emulator.unicorn]", name="atmega2560")
    parse(text.replace(boards.RUNS, boards.BUILDS), Path("atmega2560.toml"))


def test_unicorn_needs_a_uart():
    text = re.sub(r"\[uart\]\n(.+\n)+", "", TEXTS["microbit"])
    refused(text, "[emulator.unicorn] needs a [uart]")


def test_unicorn_has_no_avr():
    text = TEXTS["atmega2560"] + '\n[emulator.unicorn]\ncpu = "UC_CPU_ARM_MAX"\n'
    refused(text, "is not a constant of Unicorn for arch 'avr'", name="atmega2560")


def test_folders_are_looked_for_where_the_caller_says(tmp_path):
    board = load("microbit")
    validate(board, None)
    with pytest.raises(BadInputError, match=r"no folder 'cortex_m' in firmware/arch\.$"):
        validate(board, tmp_path)
    for folder in ("arch/cortex_m", "port/nrf51"):
        (tmp_path / folder).mkdir(parents=True)
    validate(board, tmp_path)


def test_regions_of_a_board_without_unicorn_may_share_a_page():
    board = load("mps3-an547")
    ram = Region(board.flash.end, 0x1000, "")
    validate(dataclasses.replace(board, ram=ram, budget=boards.Budget(4, 4)), None)
