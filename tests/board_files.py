"""The boards of `targets/` as texts, and how a test changes one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.hardware.boards import parse
from lenet_edge.resources import targets_folder

NAMES = (
    "atmega2560",
    "bluepill",
    "ch32v003",
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
    "riscv-virt",
    "sifive_e",
    "stm32f4-discovery",
    "stm32vldiscovery",
    "uno",
)
# No emulator has their microcontroller: Unicorn runs their code, and no more is said of them.
BUILDS = (
    *("bluepill", "ch32v003", "esp32-c3", "hifive1-revb", "longan-nano", "microbit-v2"),
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
