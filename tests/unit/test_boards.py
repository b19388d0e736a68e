"""The boards of `targets/`, how they are found, and `lenet-edge boards`."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from board_files import BUILDS, NAMES, TEXTS, changed, refused
from click.testing import CliRunner

from lenet_edge.cli.boards import boards as command
from lenet_edge.errors import BadInputError
from lenet_edge.hardware import boards, tools
from lenet_edge.hardware.boards import Flag, load
from lenet_edge.resources import firmware_folder, targets_folder

# --- the boards that are there --------------------------------------------------------------------


def test_the_boards():
    assert boards.board_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_board_loads(name):
    board = load(name)
    assert board.name == name
    assert board.status == (boards.BUILDS if name in BUILDS else boards.RUNS)
    assert (board.emulator.qemu, board.emulator.simavr) == (None, None) or name not in BUILDS
    assert board.budget == boards.Budget()
    assert (board.flash_budget_bytes, board.ram_budget_bytes) == (board.flash.size_bytes, board.ram.size_bytes)
    small = {"ch32v003": (384, "apart", "small"), "uno": (320, "in-place", "full")}
    assert (board.stack.size_bytes, board.buffers, board.link) == small.get(name, (1024, "apart", "full"))
    assert board.is_in_place == (name in small)
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
    assert board.toolchain.gcc == boards.Gcc("arm-none-eabi-", ("-mcpu=cortex-m0", "-mthumb", "-mfloat-abi=soft"))
    assert board.toolchain.zig == boards.Zig("thumb-freestanding-eabi", "cortex_m0")
    assert board.port == boards.Port("nrf51", {"LE_UART_TX_PIN": 24, "LE_UART_RX_PIN": 25})
    assert board.uart is not None
    assert board.uart.receive == boards.UartReceive(0x518, Flag(0x108, 1, 1), None)
    assert board.uart.transmit == boards.UartTransmit(0x51C, Flag(0x11C, 1, 1))
    assert board.emulator.unicorn is not None
    assert board.emulator.unicorn.plain_memory[1].origin == 0x40008000
    assert board.emulator.qemu == boards.QemuEmulator("arm", "microbit", ())
    assert board.flash_tool == boards.FlashTool("pyocd", "nrf51", {"hex": "MICROBIT"}, board_ids=("9900", "9901"))
    avr = load("atmega2560")
    assert (avr.uart, avr.toolchain.zig, avr.emulator.simavr) == (None, None, boards.SimavrEmulator("atmega2560"))


def test_unicorn_knows_the_processors():
    pytest.importorskip("unicorn")
    from unicorn import arm_const, riscv_const

    for board in map(load, NAMES):
        if board.emulator.unicorn is not None:
            assert hasattr(arm_const if board.cpu.arch == "cortex_m" else riscv_const, board.emulator.unicorn.cpu)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('boot_seal = "rp2040"', 'boot_seal = "rp2350"', "there is no 'rp2350'. Did you mean 'rp2040'?"),
        ("boot_bytes = 256", "boot_bytes = 128", "'rp2040' needs boot_bytes = 256"),
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


# --- by name, by path -----------------------------------------------------------------------------


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
def test_a_path_that_is_not_a_file(path):
    with pytest.raises(BadInputError):
        load(path)


def test_a_folder_is_not_a_file(tmp_path):
    (tmp_path / "x.toml").mkdir()
    with pytest.raises(BadInputError, match="cannot be read"):
        load(str(tmp_path / "x.toml"))


def test_your_own_board(tmp_path):
    path = tmp_path / "my-board_2.toml"
    path.write_text(changed('name = "microbit"', 'name = "my-board_2"'))
    assert load(str(path)) == dataclasses.replace(load("microbit"), name="my-board_2")


def test_your_own_port_lies_next_to_the_board_s_file(tmp_path):
    path = tmp_path / "mine.toml"
    text = changed('name = "microbit"', 'name = "mine"').replace('"nrf51"', '"mychip"')
    path.write_text(text)
    with pytest.raises(BadInputError, match="no folder 'mychip' in firmware/port, nor in port/ next to the"):
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


# --- lenet-edge boards ----------------------------------------------------------------------------


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
