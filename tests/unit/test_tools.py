"""The tools that boards need: which are installed, and how to get the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from board_files import NAMES

from lenet_edge.hardware import tools
from lenet_edge.hardware.boards import load


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
