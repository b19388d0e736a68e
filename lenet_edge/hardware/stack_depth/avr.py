"""The functions of an AVR's linked code, whose calls are few and easily read, with the frames that GCC tells."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lenet_edge.hardware.elf import Elf, Symbol
from lenet_edge.hardware.stack_depth.graph import Call, Function, UnprovedError
from lenet_edge.hardware.stack_depth.pointers import pointed_from, stem

__all__ = ["Code"]

# Instructions of an AVR, (mask, value): "AVR Instruction Set Manual" (DS40002198).
_PUSH, _POP = (0xFE0F, 0x920F), (0xFE0F, 0x900F)
_CALL, _JMP, _RCALL, _RJMP = (0xFE0E, 0x940E), (0xFE0E, 0x940C), (0xF000, 0xD000), (0xF000, 0xC000)
_LDS, _STS = (0xFE0F, 0x9000), (0xFE0F, 0x9200)
_BRANCH = (0xF800, 0xF000)
_RET = 0x9508
_POINTER_CALLS = (0x9509, 0x9519, 0x9409, 0x9419)  # ICALL, EICALL, IJMP, EIJMP


@dataclass(frozen=True)
class _Function:
    """A function in the code: what it calls or jumps to, but for itself; whether through a pointer; what it pushes."""

    name: str
    targets: tuple[int, ...]
    points: bool
    pushed: int


class Code:
    """The linked code of a firmware.

    Args:
        firmware: linked.
        frames: of `frames_of`; what is not there is assembly, whose pushes are counted.
    """

    def __init__(self, firmware: Elf, frames: Mapping[str, int | None]) -> None:
        placed = list(_functions(firmware))
        self._starts = [symbol.address for symbol, _ in placed]
        self._functions = [function for _, function in placed]
        self._frames = frames
        # Of a return address: three bytes where a program counter of 16 bits does not reach all of the flash.
        self._return_bytes = 3 if firmware.flags & 0x7F == 6 else 2  # EF_AVR_MACH, E_AVR_MACH_AVR6

    def start(self, name: str) -> int | None:
        """The address of the function of that name; None where there is none.

        Raises:
            UnprovedError: there are several.
        """
        found = [at for at, function in zip(self._starts, self._functions, strict=True) if function.name == name]
        if len(found) > 1:
            raise UnprovedError(f"{len(found)} functions are called {name}")
        return found[0] if found else None

    def function_at(self, address: int) -> Function:
        """The function whose code is there.

        Raises:
            UnprovedError: its frame or its calls are not known.
        """
        function = self._functions[bisect_right(self._starts, address) - 1]
        frame = self._frame(function)
        return Function(function.name, frame, tuple(Call(frame, target) for target in self._callees(function)))

    def _frame(self, function: _Function) -> int:
        """GCC tells that of its functions, copies of which have an ending; assembly's is what it pushes."""
        if stem(function.name) not in self._frames:
            return self._return_bytes + function.pushed
        frame = self._frames[stem(function.name)]
        if frame is None:
            raise UnprovedError(f"the frame of {function.name} is not always the same")
        return frame

    def _callees(self, function: _Function) -> set[int]:
        found = {self._starts[bisect_right(self._starts, target) - 1] for target in function.targets}
        if function.points:
            names = pointed_from(function.name, (each.name for each in self._functions))
            pointed = {at for at, each in zip(self._starts, self._functions, strict=True) if each.name in names}
            if not pointed:
                raise UnprovedError(f"{function.name} calls through a pointer, nobody knows what")
            found |= pointed
        return found


def _functions(firmware: Elf) -> Iterator[tuple[Symbol, _Function]]:
    """What is in the code, each up to the next one; labels within functions of the compiler's library are none."""
    code: list[Symbol] = []
    for symbol in {each.address: each for each in firmware.places if each.section == ".text"}.values():
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
