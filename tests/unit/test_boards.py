"""The boards of `targets/`, the strict reading of their files, what validation refuses, and `lenet-edge boards`."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet_edge.cli.boards import boards as command
from lenet_edge.errors import BadInputError
from lenet_edge.hardware import boards, tools
from lenet_edge.hardware.boards import Flag, Region, load, parse, validate
from lenet_edge.hardware.resources import firmware_folder, targets_folder

NAMES = (
    "atmega2560",
    "bluepill",
    "esp32-c3",
    "hifive1-revb",
    "longan-nano",
    "microbit",
    "microbit-v2",
    "mps2-an385",
    "mps2-an386",
    "mps2-an500",
    "mps2-an505",
    "mps3-an547",
    "nano-33-ble",
    "netduinoplus2",
    "nrf52840-dk",
    "nucleo-f446re",
    "nucleo-l476rg",
    "pico",
    "sifive_e",
    "stm32f4-discovery",
    "stm32vldiscovery",
)
# No emulator has their microcontroller: Unicorn runs their code, and no more is said of them.
BUILDS = (
    *("bluepill", "esp32-c3", "hifive1-revb", "longan-nano", "microbit-v2"),
    *("nano-33-ble", "nrf52840-dk", "nucleo-f446re", "nucleo-l476rg", "pico"),
)
TEXTS = {name: (targets_folder() / f"{name}.toml").read_text(encoding="utf-8") for name in NAMES}


def changed(old: str, new: str, name: str = "microbit") -> str:
    """A board's file with one thing replaced, once."""
    assert old in TEXTS[name], old
    return TEXTS[name].replace(old, new, 1)


def refused(text: str, *parts: str, name: str = "microbit") -> None:
    """The text is refused with a message that names the file and has these parts."""
    with pytest.raises(BadInputError) as caught:
        parse(text, Path(f"some/{name}.toml"))
    message = str(caught.value)
    assert message.startswith(f"some/{name}.toml")
    assert [part for part in parts if part not in message] == [], message


# --- the boards that are there ----------------------------------------------------------------------


def test_the_boards():
    assert boards.board_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_board_loads(name):
    board = load(name)
    assert board.name == name
    assert board.status == (boards.BUILDS if name in BUILDS else boards.RUNS)
    assert (board.emulators.qemu, board.emulators.simavr) == (None, None) or name not in BUILDS
    assert board.budget == boards.Budget(board.flash.size_bytes, board.ram.size_bytes)
    assert board.stack_bytes == 1024
    assert board == load(str(targets_folder() / f"{name}.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_board_s_file_is_plain(name):
    assert TEXTS[name].isascii()
    assert all(len(line) <= 120 and line == line.rstrip() for line in TEXTS[name].splitlines())
    for key in ("origin", "base"):  # addresses are hexadecimal
        assert not re.search(rf"\b{key} = (?!0x)", TEXTS[name])


def test_what_a_file_says():
    board = load("microbit")
    assert board.cpu == boards.Cpu("cortex-m0", "cortex_m", 16_000_000, board.cpu.source, "cortex_m_base")
    assert (board.flash.origin, board.flash.size_bytes, board.flash.end) == (0, 256 * 1024, 0x40000)
    assert board.toolchains.gcc == boards.Gcc("arm-none-eabi-", ("-mcpu=cortex-m0", "-mthumb", "-mfloat-abi=soft"))
    assert board.toolchains.zig == boards.Zig("thumb-freestanding-eabi", "cortex_m0")
    assert board.port == boards.Port("nrf51", {"LE_UART_TX_PIN": 24, "LE_UART_RX_PIN": 25})
    assert board.uart is not None
    assert board.uart.receive == boards.UartReceive(0x518, Flag(0x108, 1, 1), None)
    assert board.uart.transmit == boards.UartTransmit(0x51C, Flag(0x11C, 1, 1))
    assert board.emulators.unicorn is not None
    assert board.emulators.unicorn.plain_memory[1].origin == 0x40008000
    assert board.emulators.qemu == boards.QemuEmulator("arm", "microbit", ())
    assert board.flash_tool == boards.FlashTool("pyocd", "nrf51", {"hex": "MICROBIT"}, board_ids=("9900", "9901"))
    avr = load("atmega2560")
    assert (avr.uart, avr.toolchains.zig, avr.emulators.simavr) == (None, None, boards.SimavrEmulator("atmega2560"))


def test_unicorn_knows_the_processors():
    pytest.importorskip("unicorn")
    from unicorn import arm_const, riscv_const

    for board in map(load, NAMES):
        if board.emulators.unicorn is not None:
            assert hasattr(arm_const if board.cpu.arch == "cortex_m" else riscv_const, board.emulators.unicorn.cpu)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('boot_seal = "rp2040"', 'boot_seal = "rp2350"', "there is no 'rp2350'. Did you mean 'rp2040'?"),
        ("boot_bytes = 256", "boot_bytes = 128", "'rp2040' is of 256 boot_bytes"),
        ("boot_bytes = 256", "boot_bytes = 64", "boot_bytes 64 is not a multiple of 128"),
        ("boot_bytes = 256", "boot_bytes = 0x200000", "must be a multiple of 4 below the flash's size"),
        ("boot_bytes = 256", "boot_bytes = 256\ndata_origin = 0x20000000", "[ram] and [flash.data_origin] overlap"),
    ],
)
def test_a_boot_stage_that_cannot_be(old, new, part):
    refused(changed(old, new, "pico"), part, name="pico")


def test_a_port_s_defines_are_those_that_its_code_uses():
    """A mistake that otherwise only a compiler finds."""
    known = {"LE_CLOCK_HZ"}
    for board in map(load, NAMES):
        source = (firmware_folder() / "port" / board.port.family / "port.c").read_text(encoding="utf-8")
        for define in board.port.defines:
            assert re.search(rf"\b{define}\b", source), (board.name, define)
        used = set(re.findall(r"\bLE_(?:UART|CLOCK)_[A-Z0-9_]+", source))
        optional = set(re.findall(r"#ifndef (LE_\w+)", source))
        assert used <= {*known, *optional, *board.port.defines}, board.name


def test_an_emulated_uart_is_the_one_that_the_port_drives():
    """Where the TOML tells its port the UART's address, [uart] says the same."""
    told = [board for board in map(load, NAMES) if "LE_UART_BASE" in board.port.defines and board.uart is not None]
    assert len(told) >= 4
    assert [each.name for each in told if each.port.defines["LE_UART_BASE"] != each.uart.base] == []


def test_a_boot_loader_keeps_its_flash():
    """Arduino core, boards.txt: nano33ble.upload.maximum_size=983040 of the nRF52840's 1 MB."""
    flash = load("nano-33-ble").flash
    assert (flash.origin, flash.size_bytes, flash.end) == (64 * 1024, 983_040, 1024 * 1024)


# --- by name, by path -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "nearest"), [("micro-bit", "microbit"), ("mps2_an385", "mps2-an385"), ("stm32vl", "stm32vldiscovery")]
)
def test_an_unknown_name(name, nearest):
    with pytest.raises(BadInputError, match="`lenet-edge boards` lists them") as caught:
        load(name)
    assert nearest in str(caught.value)


@pytest.mark.parametrize("name", ["", "../targets/microbit", "microbit\0", "x" * 5000, "\n", "MICROBIT"])
def test_no_name_reaches_outside(name):
    with pytest.raises(BadInputError):
        load(name)


@pytest.mark.parametrize("path", ["nowhere/x.toml", "a\0b.toml", "x" * 5000 + ".toml", ".toml"])
def test_a_path_that_is_no_file(path):
    with pytest.raises(BadInputError):
        load(path)


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "x.toml").mkdir()
    with pytest.raises(BadInputError, match="cannot be read"):
        load(str(tmp_path / "x.toml"))


def test_a_board_of_one_s_own(tmp_path):
    path = tmp_path / "my-board_2.toml"
    path.write_text(changed('name = "microbit"', 'name = "my-board_2"'))
    assert load(str(path)) == dataclasses.replace(load("microbit"), name="my-board_2")


def test_a_port_of_one_s_own_lies_beside_the_board_s_file(tmp_path):
    path = tmp_path / "mine.toml"
    text = changed('name = "microbit"', 'name = "mine"').replace('"nrf51"', '"mychip"')
    path.write_text(text)
    with pytest.raises(BadInputError, match="no folder 'mychip' in firmware/port, nor in port/ beside the"):
        load(str(path))
    (tmp_path / "port").mkdir()
    (tmp_path / "port" / "mychip").write_text("a file")
    with pytest.raises(BadInputError, match="no folder 'mychip'"):
        load(str(path))
    (tmp_path / "port" / "mychip").unlink()
    (tmp_path / "port" / "mychip").mkdir()
    assert load(str(path)).port_folder == tmp_path / "port" / "mychip"
    path.write_text(text.replace('"mychip"', '"nrf51"'))
    assert load(str(path)).port_folder == load("microbit").port_folder == firmware_folder() / "port" / "nrf51"
    path.write_text(text.replace('"mychip"', '"../port/mychip"'))  # a name, not a path
    with pytest.raises(BadInputError, match="no folder"):
        load(str(path))


def test_not_utf8(tmp_path):
    (tmp_path / "x.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(BadInputError, match=r"is not UTF-8 \(byte 8\)"):
        load(str(tmp_path / "x.toml"))


# --- reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("clock_hz =", "clokc_hz =", ["[cpu]", "'clokc_hz' is not known", "Did you mean 'clock_hz'?"]),
        ("[flash_tool]", "[flashtool]", ["'flashtool' is not known", "Did you mean 'flash_tool'?"]),
        ("[stack]", "[zzz]", ["'zzz' is not known", "Known: budget, cpu,"]),
        ("[emulator.qemu]", "[emulator.quemu]", ["[emulator]", "'quemu'", "Did you mean 'qemu'?"]),
        ("mask = 0x1", "masc = 0x1", ["[uart.receive.ready]", "'masc'", "Did you mean 'mask'?"]),
        ("size_bytes = 0x1000, source", "size = 0, source", ["[emulator.unicorn.plain_memory.0]", "'size_bytes'?"]),
        ('status = "runs in an emulator"\n', "", ["'status' is missing; a string is needed"]),
        ("[stack]\nsize_bytes = 1024\n", "", ["'stack' is missing; a table is needed"]),
        ("receive =", "# ", ["[uart]", "'receive' is missing; a table is needed"]),
        ("clock_hz = 16_000_000", "clock_hz = 16e6", ["[cpu]", "'clock_hz' is a float; give an integer"]),
        ("clock_hz = 16_000_000", "clock_hz = true", ["'clock_hz' is a boolean; give an integer"]),
        ("clock_hz = 16_000_000", 'clock_hz = "16 MHz"', ["'clock_hz' is a string; give an integer"]),
        ("clock_hz = 16_000_000", "clock_hz = 1979-05-27", ["'clock_hz' is a date or time; give an integer"]),
        ("clock_hz = 16_000_000", "clock_hz = -1", ["'clock_hz' is outside 0 .. 0xFFFFFFFF"]),
        ("clock_hz = 16_000_000", "clock_hz = 0x1_0000_0000", ["'clock_hz' is outside 0 .. 0xFFFFFFFF"]),
        ("clock_hz = 16_000_000", f"clock_hz = 0x{'F' * 9999}", ["'clock_hz' is outside 0 .. 0xFFFFFFFF"]),
        ("clock_hz = 16_000_000", f"clock_hz = {'9' * 9999}", ["'clock_hz' has a number of 9,999 digits"]),
        ('core = "cortex-m0"', "core = 0", ["'core' is an integer; give a string"]),
        ('core = "cortex-m0"', 'core = ""', ["'core' is empty"]),
        ('core = "cortex-m0"', 'core = "a\\nb"', ["'core' is empty or has characters that cannot be printed"]),
        ('"-mthumb", ', "1, ", ["[toolchain.gcc.flags]", "'1' is an integer; give a string"]),
        ("plain_memory = [", "plain_memory = 7 #", ["is not TOML"]),
        ('flags = ["-mcpu=cortex-m0"', 'flags = "-x" #', ["[toolchain.gcc]", "'flags' is a string; give a list"]),
        ("defines = {", "defines = 1 #", ["[port]", "'defines' is an integer; give a table"]),
        ("LE_UART_TX_PIN = 24", "LE_UART_TX_PIN = 2.4", ["[port.defines]", "is a float; give an integer or a string"]),
        ("LE_UART_TX_PIN = 24", "LE_UART_TX_PIN = false", ["[port.defines]", "is a boolean"]),
        ("transmit = {", "transmit = [] #", ["[uart]", "'transmit' is a list; give a table"]),
    ],
)  # fmt: skip
def test_what_the_schema_refuses(old, new, parts):
    refused(changed(old, new), *parts)


@pytest.mark.parametrize("text", ["name", "[", "a = 1\na = 2", "[" * 20000, "a = " + "[" * 20000, "\0", "a = \ud800"])
def test_not_toml(text):
    refused(text, "is not TOML")


def test_nothing_at_all():
    refused("", "'name' is missing")


def test_a_value_where_a_table_should_be():
    text = re.sub(r"\[stack\]\nsize_bytes = 1024\n", "", TEXTS["microbit"])
    refused("stack = 1024\n" + text, "'stack' is an integer; give a table")


def test_a_define_may_be_a_c_name():
    text = changed("LE_UART_TX_PIN = 24", 'LE_UART_TX_PIN = "PIN_24"')
    assert parse(text, Path("microbit.toml")).port.defines["LE_UART_TX_PIN"] == "PIN_24"


def test_a_budget_may_be_given_in_part():
    text = TEXTS["microbit"] + "\n[budget]\nram_bytes = 8192\n"
    assert parse(text, Path("microbit.toml")).budget == boards.Budget(256 * 1024, 8192)


# --- validating -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ('name = "microbit"', 'name = "other"', ["'other' is not the file's", "other.toml"]),
        ('name = "microbit"', 'name = "Micro bit"', ["other characters than a-z"]),
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
        ("UC_CPU_ARM_CORTEX_M0", "CORTEX_M0", ["[emulator.unicorn] cpu 'CORTEX_M0' is no constant"]),
        ("UC_CPU_ARM_CORTEX_M0", "UC_CPU_RISCV32_ANY", ["is no constant of Unicorn for arch 'cortex_m'"]),
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
    refused(text, "is no constant of Unicorn for arch 'avr'", name="atmega2560")


def test_folders_are_looked_for_where_one_says(tmp_path):
    board, path = load("microbit"), Path("microbit.toml")
    validate(board, path, None)
    with pytest.raises(BadInputError, match=r"no folder 'cortex_m' in firmware/arch\.$"):
        validate(board, path, tmp_path)
    for folder in ("arch/cortex_m", "port/nrf51"):
        (tmp_path / folder).mkdir(parents=True)
    validate(board, path, tmp_path)


def test_regions_of_a_board_without_unicorn_may_share_a_page():
    board = load("mps3-an547")
    ram = Region(board.flash.end, 0x1000, "")
    validate(dataclasses.replace(board, ram=ram, budget=boards.Budget(4, 4)), Path("mps3-an547.toml"), None)


# --- fuzz: a board or BadInputError, and never anything else ----------------------------------------


def parses_or_is_refused(text: str, name: str) -> None:
    try:
        board = parse(text, Path(f"{name}.toml"))
    except BadInputError:
        pass
    else:
        assert board.name == name


PIECES = st.sampled_from(
    [
        "true",
        "-1",
        "0xFFFFFFFFFF",
        "1e400",
        "nan",
        '""',
        "[]",
        "[[",
        "{}",
        "1979-05-27",
        "\n[cpu]\n",
        "=",
        '"',
        "\0",
        "é",
    ]
)


@given(st.text(max_size=200))
def test_any_text(text):
    parses_or_is_refused(text, "microbit")


@settings(max_examples=150)
@given(st.sampled_from(NAMES), st.data())
def test_a_board_s_file_with_something_else_in_it(name, data):
    text = TEXTS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.integers(0, 12))
        text = text[:start] + data.draw(PIECES | st.text(max_size=5)) + text[end:]
    parses_or_is_refused(text, name)


@settings(max_examples=150)
@given(st.sampled_from(NAMES), st.data())
def test_a_board_s_file_with_another_value(name, data):
    values = list(re.finditer(r"(?<== )(?:0x\w+|[\d_]+|\"[^\"\n]*\"|\[.*\]$|\{.*\}$)", TEXTS[name], re.MULTILINE))
    value = data.draw(st.sampled_from(values))
    other = data.draw(PIECES | st.integers(0, 2**33).map(hex) | st.integers(-5, 70000).map(str))
    parses_or_is_refused(TEXTS[name][: value.start()] + other + TEXTS[name][value.end() :], name)


@settings(max_examples=100)
@given(st.sampled_from(NAMES), st.data())
def test_a_board_s_file_without_some_lines(name, data):
    lines = TEXTS[name].splitlines(keepends=True)
    kept = data.draw(st.lists(st.sampled_from(range(len(lines))), max_size=5))
    parses_or_is_refused("".join(line for index, line in enumerate(lines) if index not in kept), name)


# --- tools ------------------------------------------------------------------------------------------


@pytest.fixture
def nothing_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(tools, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "_PREFIXES", (tmp_path,))
    return tmp_path


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_every_tool_of_every_board_has_an_install_command():
    for board in map(load, NAMES):
        for what in ("build", "emulate", "flash"):
            for tool in tools.needed(board, what):
                assert tool.name in tools.TOOLS
                assert tool.install.startswith(("apt-get install ", "pip install ", "cargo install "))


@pytest.mark.usefixtures("nothing_installed")
def test_nothing_is_installed():
    assert not any(tools.find(name).found for name in tools.TOOLS)
    copies = {"microbit": ("hex",), "microbit-v2": ("hex",), "pico": ("uf2",)}  # to a volume, with no tool
    for board in map(load, NAMES):
        assert (tools.can_build(board), tools.can_emulate(board)) == ((), ())
        assert tools.can_flash(board) == copies.get(board.name, ())


def test_programs_are_found(nothing_installed):
    for name in ("avr-gcc", "gcc", "qemu-system-arm", "avrdude"):
        program(nothing_installed, name, "exit 0")
    microbit, avr = load("microbit"), load("atmega2560")
    assert (tools.can_build(avr), tools.can_emulate(avr), tools.can_flash(avr)) == (("gcc",), (), ("avrdude",))
    assert (tools.can_build(microbit), tools.can_emulate(microbit)) == ((), ("qemu",))
    assert tools.find("cc").found
    header, library = nothing_installed / "include/simavr", nothing_installed / "lib/some-machine"
    header.mkdir(parents=True)
    library.mkdir(parents=True)
    (header / "sim_avr.h").touch()
    assert tools.can_emulate(avr) == ()
    for name in ("libsimavr.so", "libelf.so.1"):
        (library / name).touch()
    assert tools.can_emulate(avr) == ("simavr",)


def test_packages_are_found(monkeypatch, nothing_installed):
    monkeypatch.setattr(tools, "find_spec", lambda name: object() if name in ("ziglang", "unicorn") else None)
    monkeypatch.setattr(tools, "package_version", lambda name: "1.2.3")
    board = load("sifive_e")
    assert (tools.can_build(board), tools.can_emulate(board)) == (("zig",), ("unicorn",))
    assert tools.find("zig", ask_version=True).version == "1.2.3"
    assert tools.find("zig").version is None


def test_the_preferred_emulator_comes_first(monkeypatch):
    monkeypatch.setattr(tools, "find", lambda name: tools.Tool(name, True, None, ""))
    assert tools.can_emulate(load("microbit")) == ("unicorn", "qemu")
    assert tools.can_emulate(load("mps3-an547")) == ("qemu",)
    assert tools.can_build(load("microbit")) == ("gcc", "zig")


def test_versions_are_asked_for(monkeypatch, nothing_installed):
    program(nothing_installed, "avr-gcc", "echo 'avr-gcc 5.4'; echo more")
    program(nothing_installed, "openocd", "echo 'Open On-Chip Debugger 0.12' >&2")
    program(nothing_installed, "pyocd", "exit 1")
    program(nothing_installed, "avrdude", "while :; do :; done")
    monkeypatch.setattr(tools, "_TIME_OUT_S", 0.2)
    assert tools.find("avr-gcc").version is None
    versions = [tools.find(name, ask_version=True).version for name in ("avr-gcc", "openocd", "pyocd", "avrdude")]
    assert versions == ["avr-gcc 5.4", "Open On-Chip Debugger 0.12", None, None]
    assert tools.find("avrdude").found


def test_a_tool_that_nobody_knows(nothing_installed):
    tool = tools.find("my-own-gcc")
    assert (tool.found, tool.install) == (False, "install my-own-gcc and put it on the PATH")


# --- lenet-edge boards ------------------------------------------------------------------------------


def called(*arguments: str) -> str:
    done = CliRunner().invoke(command, arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def test_boards_as_json():
    found = json.loads(called("--json"))
    assert [board["name"] for board in found["boards"]] == list(NAMES)
    keys = ["arch", "build", "core", "emulate", "flash_bytes", "flash_tool", "missing", "name", "ram_bytes"]
    for entry in found["boards"]:
        board = load(entry["name"])
        assert sorted(entry) == [*keys, "status", "title"]
        assert (entry["core"], entry["arch"]) == (board.cpu.core, board.cpu.arch)
        assert (entry["flash_bytes"], entry["ram_bytes"]) == (board.flash.size_bytes, board.ram.size_bytes)
        assert tuple(entry["build"]) == tools.can_build(board)
        assert tuple(entry["emulate"]) == tools.can_emulate(board)


@pytest.mark.usefixtures("nothing_installed")
def test_boards_says_what_is_missing():
    found = {board["name"]: board for board in json.loads(called("--json"))["boards"]}
    assert found["microbit"]["build"] == found["microbit"]["emulate"] == []
    assert found["mps3-an547"]["missing"] == [
        "apt-get install gcc-arm-none-eabi",
        "pip install 'lenet-edge[boards]'",
        "apt-get install qemu-system-arm",
        "apt-get install gdb-multiarch",
    ]
    shown = called()
    rows = {line.split()[1]: line for line in shown.splitlines() if line.startswith("│")}
    assert set(NAMES) == set(rows)
    assert "needs arm-none-eabi-gcc or zig" in rows["microbit"]
    assert "needs unicorn or qemu-system-arm" in rows["microbit"]
    assert "needs pyocd" in rows["nrf52840-dk"]
    assert "│ hex " in rows["microbit"]
    assert "needs qemu-system-arm" in rows["mps3-an547"]
    assert "  pip install 'lenet-edge[boards]'\n" in shown
    assert "  apt-get install gcc-avr avr-libc\n" in shown


def test_boards_shows_what_can_be_done(monkeypatch):
    monkeypatch.setattr(tools, "find", lambda name: tools.Tool(name, True, None, "install it"))
    shown = called()
    rows = {line.split()[1]: line for line in shown.splitlines() if line.startswith("│")}
    cells = r"cortex-m0 +│ +256 KB │ +16 KB │ gcc, zig │ unicorn, qemu │ pyocd, hex +│ runs in an emulator "
    assert re.search(cells, rows["microbit"])
    assert all(("builds, not run on hardware" in rows[name]) == (name in BUILDS) for name in NAMES)
    assert "missing" not in shown
