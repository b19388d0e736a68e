"""GCC marks data in .debug_frame, whose addresses begin at 0, as code in flash does on some boards: in the proof of the
stack code was data, and nothing was proved."""

from __future__ import annotations

import struct

import made_elf
from linked_code import ADD_8, BX_LR, SUB_8

from lenet_edge.hardware.elf import Elf
from lenet_edge.hardware.stack_depth import stack_depth


def test_marks_of_what_is_not_loaded():
    code = struct.pack("<3H", SUB_8, ADD_8, BX_LR)
    sections = [made_elf.Sect(".text", 0, code), made_elf.Sect(".debug_frame", 0, bytes(6), flags=0)]
    symbols = [("le_reset", 0, len(code), 1), ("$t", 0, 0, 1), ("$d", 2, 0, 2)]
    elf = Elf(made_elf.elf([made_elf.Part(0, 0, code)], sections, symbols, entry=0))
    assert elf.marks == ((0, False),)
    assert stack_depth(elf, {"le_reset": 8}).bytes == 8
