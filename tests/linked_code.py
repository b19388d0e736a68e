"""Linked code made by hand, of words of the instruction set manuals, for the proof of the stack."""

from __future__ import annotations

import struct

import made_elf

from lenet_edge.hardware.elf import Elf

AVR = 83
PUSH, POP, RET, NOP, ICALL = 0x920F, 0x900F, 0x9508, 0x0000, 0x9509
CALL, JMP = 0x940E, 0x940C


def program(**functions: list[int | tuple[int, str]]) -> Elf:
    """Functions one behind the other; (CALL or JMP, a name) takes two words; what is behind a # is not of the name."""
    starts, at = dict[str, int](), 0
    for name, words in functions.items():
        starts[name] = at
        at += 2 * sum(2 if isinstance(word, tuple) else 1 for word in words)
    content, symbols = b"", []
    for name, words in functions.items():
        for word in words:
            content += struct.pack("<HH", word[0], starts[word[1]] // 2) if isinstance(word, tuple) else b""
            content += struct.pack("<H", word) if isinstance(word, int) else b""
        symbols.append((name.partition("#")[0], starts[name], len(content) - starts[name], 1))
    part, section = made_elf.Part(0, 0, content), made_elf.Sect(".text", 0, content)
    return Elf(made_elf.elf([part], [section], symbols, machine=AVR, entry=0))


ARM, RISCV = 40, 243
# Armv6-M ARM, A6.7: PUSH {r4, lr}; POP {r4, pc}; SUB, ADD SP, #8; BX LR; BLX r3; BX r3; MOV SP, r0; BEQ
PUSH_TWO, POP_TWO, SUB_8, ADD_8, BX_LR, BLX_R3, BX_R3, MOV_SP = (
    0xB510,
    0xBD10,
    0xB082,
    0xB002,
    0x4770,
    0x4798,
    0x4718,
    0x4685,
)
PUSH_ALL, POP_ALL, POP_R3 = 0xB5F8, 0xBCF8, 0xBC08  # PUSH {r3-r7, lr}; POP {r3-r7}; POP {r3}
BEQ_OVER, LOOP = 0xD000, 0xE7FE  # and B to itself
# RISC-V manual, 16: C.ADDI16SP -32 and 32, C.JR ra, C.JR a5, C.ADDI sp, 8
SP_DOWN, SP_UP, RV_RET, JR_A5 = 0x1101, 0x6105, 0x8082, 0x8782


def linked(machine, **functions):
    """As `program`; (a name,) is BL, or C.JAL, which takes 4 and 2 bytes; what is called _ has no symbol."""
    size = {ARM: 4, RISCV: 2}[machine]
    starts, at = dict[str, int](), 0
    for name, words in functions.items():
        starts[name] = at
        at += sum(size if isinstance(word, tuple) else 2 for word in words)
    content, symbols = b"", []
    for name, words in functions.items():
        begin = len(content)
        for word in words:
            if not isinstance(word, tuple):
                content += struct.pack("<H", word)
                continue
            by = starts[word[0]] - len(content)
            if machine == ARM:  # BL with J1 = J2 = 1: within 4 MB
                half = (by - 4) // 2
                content += struct.pack(
                    "<HH", 0xF000 | (0x400 if half < 0 else 0) | half >> 11 & 0x3FF, 0xF800 | half & 0x7FF
                )
            else:
                parts = ((11, 12), (4, 11), (8, 9), (9, 10), (10, 8), (6, 7), (7, 6), (1, 3), (2, 4), (3, 5), (5, 2))
                content += struct.pack("<H", 0x2001 | sum((by >> bit & 1) << to for bit, to in parts))
        symbols.append((name.partition("#")[0], begin, len(content) - begin, 1))
    part, section = made_elf.Part(0, 0, content), made_elf.Sect(".text", 0, content)
    symbols = [symbol for symbol in symbols if symbol[0] != "_"]
    return Elf(made_elf.elf([part], [section], symbols, machine=machine, entry=0))
