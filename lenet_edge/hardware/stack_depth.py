"""How deep a firmware's stack can get: the frames that GCC tells, along the deepest path of calls in the linked code.

For AVRs, whose calls are few and easily read. Nothing in the firmware recurses, and no interrupt is enabled. A call
through a pointer has the targets that `_POINTED` names; any other one is a reason to say that nothing is proved.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lenet_edge.hardware.elf import Elf, Symbol

__all__ = ["StackDepth", "frames_of", "stack_depth"]

# What calls through a pointer -> what that may point to; names as whole regular expressions.
_POINTED: Mapping[str, str] = {
    "main": "hello|infer|profile|leave|frame_begin|frame_rows|frame_end",  # `requests` of main.c
    "answer": "hello|infer|profile|leave|frame_begin|frame_rows|frame_end",
    "put_frame|le_link_reply|le_link_error|le_link_fault": "port_putc",
    "le_fold_tables|le_self_test": "le_crc32_table|le_crc32",
    "le_conv2d_tiles_avr_s8": r"le_tile_\d(_double)?_avr_s8",
    "le_depthwise_conv2d_avr_s8": r"le_depthwise(_double)?_avr_s8",
    "le_(conv2d|depthwise_conv2d|fully_connected)_packed_s8|le_maximum_of_window": r"le_(sum|largest)_\w+",
    "pool": "largest_in|mean_of",
    "le_max_pool2d_s8": "largest_in",
    "le_average_pool2d_s8": "mean_of",
}

# Instructions of an AVR, (mask, value): "AVR Instruction Set Manual" (DS40002198).
_PUSH, _POP = (0xFE0F, 0x920F), (0xFE0F, 0x900F)
_CALL, _JMP, _RCALL, _RJMP = (0xFE0E, 0x940E), (0xFE0E, 0x940C), (0xF000, 0xD000), (0xF000, 0xC000)
_LDS, _STS = (0xFE0F, 0x9000), (0xFE0F, 0x9200)
_BRANCH = (0xF800, 0xF000)
_RET = 0x9508
_POINTER_CALLS = (0x9509, 0x9519, 0x9409, 0x9419)  # ICALL, EICALL, IJMP, EIJMP


@dataclass(frozen=True)
class StackDepth:
    """The deepest path.

    Attributes:
        bytes: of stack that it takes; None where nothing is proved.
        path: its functions, from `main` on.
        problem: why nothing is proved.
    """

    bytes: int | None
    path: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class _Function:
    """A function in the code: what it calls or jumps to, but for itself; whether through a pointer; what it pushes."""

    name: str
    targets: tuple[int, ...]
    points: bool
    pushed: int


def frames_of(folder: Path) -> dict[str, int | None]:
    """Function -> bytes of its frame, return address included, from GCC's files (``-fstack-usage``) below a folder.

    None where the frame depends on what happens. Functions of one name have the larger frame.
    """
    frames: dict[str, int | None] = {}
    for path in sorted(folder.rglob("*.su")):
        for line in path.read_text(encoding="utf-8").splitlines():
            where, size, kind = line.split("\t")
            name = where.rpartition(":")[2]
            before = frames.get(name, 0)
            frames[name] = None if kind != "static" or before is None else max(before, int(size))
    return frames


def stack_depth(firmware: Elf, frames: Mapping[str, int | None]) -> StackDepth:
    """The deepest path from `main` of an AVR's firmware.

    Args:
        firmware: linked.
        frames: of `frames_of`; what is not there is assembly, whose pushes are counted.
    """
    functions = list(_functions(firmware))
    try:
        found = _Paths(functions, frames, _return_bytes(firmware)).deepest("main")
    except _UnprovedError as error:
        return StackDepth(None, problem=str(error))
    return StackDepth(*found)


class _UnprovedError(Exception):
    """A call or a frame that is not known."""


def _return_bytes(firmware: Elf) -> int:
    """Of a return address: three where a program counter of 16 bits does not reach all of the flash."""
    return 3 if firmware.flags & 0x7F == 6 else 2  # EF_AVR_MACH, E_AVR_MACH_AVR6


class _Paths:
    """The deepest path from each function that was asked for."""

    def __init__(
        self, functions: Iterable[tuple[Symbol, _Function]], frames: Mapping[str, int | None], own: int
    ) -> None:
        placed = list(functions)
        self._starts = [symbol.address for symbol, _ in placed]
        self._functions = [function for _, function in placed]
        self._frames, self._return_bytes = frames, own
        self._known: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._open: list[str] = []

    def deepest(self, name: str) -> tuple[int, tuple[str, ...]]:
        """(bytes, path)"""
        if name in self._open:
            raise _UnprovedError(f"{name} may call itself: {' > '.join((*self._open, name))}")
        if name not in self._known:
            self._open.append(name)
            found = [function for function in self._functions if function.name == name]
            if len(found) != 1:
                raise _UnprovedError(f"{len(found)} functions are called {name}")
            below = max((self.deepest(callee) for callee in sorted(self._callees(found[0]))), default=(0, ()))
            self._known[name] = (self._frame(found[0]) + below[0], (name, *below[1]))
            self._open.pop()
        return self._known[name]

    def _frame(self, function: _Function) -> int:
        """GCC tells that of its functions, copies of which have an ending; assembly's is what it pushes."""
        stem = function.name.partition(".")[0]
        if stem not in self._frames:
            return self._return_bytes + function.pushed
        frame = self._frames[stem]
        if frame is None:
            raise _UnprovedError(f"the frame of {function.name} is not always the same")
        return frame

    def _callees(self, function: _Function) -> set[str]:
        names = {self._functions[bisect_right(self._starts, target) - 1].name for target in function.targets}
        if function.points:
            stem = function.name.partition(".")[0]
            wanted = [targets for caller, targets in _POINTED.items() if re.fullmatch(caller, stem)]
            pointed = {
                each.name
                for each in self._functions
                if any(re.fullmatch(targets, each.name.partition(".")[0]) for targets in wanted)
            }
            if not pointed:
                raise _UnprovedError(f"{function.name} calls through a pointer, nobody knows what")
            names |= pointed
        return names


def _functions(firmware: Elf) -> Iterator[tuple[Symbol, _Function]]:
    """What is in the code, each up to the next one; labels within functions of the compiler's library are none."""
    code: list[Symbol] = []
    for symbol in {each.address: each for each in firmware.symbols.values() if each.section == ".text"}.values():
        if not (code and code[-1].name.startswith("__") and symbol.name.startswith(f"{code[-1].name}_")):
            code.append(symbol)
    end = max((part.address + len(part.content) for part in firmware.segments if part.address < 0x800000), default=0)
    for symbol, following in zip(code, [*(each.address for each in code[1:]), end], strict=True):
        size = max(0, following - symbol.address)
        content = firmware.content(Symbol(symbol.name, symbol.address, size, symbol.section))
        yield symbol, _read(symbol.name, symbol.address, content)


def _read(name: str, start: int, content: bytes) -> _Function:
    """Assembly is taken to pop, in a loop, what it pushes there: so read from top to end it is never too shallow."""
    words = [int.from_bytes(content[at : at + 2], "little") for at in range(0, len(content) - 1, 2)]
    inside = range(start + 1, start + len(content))  # a jump to its beginning is a loop, a call is not
    targets, points, depth, most, index, word = set[int](), False, 0, 0, 0, 0
    while index < len(words):
        word, here = words[index], start + 2 * index
        index += 2 if any(_is(word, kind) for kind in (_CALL, _JMP, _LDS, _STS)) else 1
        depth += _is(word, _PUSH) - _is(word, _POP)
        most = max(most, depth)
        points |= word in _POINTER_CALLS
        target = _target(word, words[index - 1] if index <= len(words) else 0, here)
        is_call = _is(word, _CALL) or _is(word, _RCALL)
        if target is not None and target not in inside and (is_call or target != start):
            targets.add(target)
    if words and word != _RET and not _is(word, _JMP) and not _is(word, _RJMP) and word not in _POINTER_CALLS:
        targets.add(start + len(content))  # it goes on in the next one
    return _Function(name, tuple(sorted(targets)), points, most)


def _target(word: int, following: int, here: int) -> int | None:
    """Where an instruction at `here` goes to; None where only to the next."""
    if _is(word, _CALL) or _is(word, _JMP):
        return 2 * ((word >> 4 & 31) << 17 | (word & 1) << 16 | following)
    if _is(word, _RCALL) or _is(word, _RJMP):
        return here + 2 + 2 * _signed(word & 0xFFF, 12)
    return here + 2 + 2 * _signed(word >> 3 & 0x7F, 7) if _is(word, _BRANCH) else None


def _is(word: int, instruction: tuple[int, int]) -> bool:
    mask, value = instruction
    return word & mask == value


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value
