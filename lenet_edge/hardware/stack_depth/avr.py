"""The functions of an AVR's linked code, whose calls are few and easily read, with the frames that GCC tells."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from struct import iter_unpack

from lenet_edge.hardware.elf import Elf, Symbol
from lenet_edge.hardware.stack_depth.graph import Call, Function, UnprovedError
from lenet_edge.hardware.stack_depth.pointers import pointed_from, stem

__all__ = ["Code"]

# Instructions of an AVR, (mask, value): "AVR Instruction Set Manual" (DS40002198).
_PUSH, _POP = (0xFE0F, 0x920F), (0xFE0F, 0x900F)
_CALL, _JMP, _RCALL, _RJMP = (0xFE0E, 0x940E), (0xFE0E, 0x940C), (0xF000, 0xD000), (0xF000, 0xC000)
_LDS, _STS = (0xFE0F, 0x9000), (0xFE0F, 0x9200)
_BRANCH = (0xF800, 0xF000)
_SKIPS = ((0xFC00, 0x1000), (0xFC08, 0xFC00), (0xFD00, 0x9900))  # CPSE; SBRC, SBRS; SBIC, SBIS: over the next one
_SETS_STACK = ((0xFE0F, 0xBE0D), (0xFE0F, 0xBE0E))  # OUT SPL, OUT SPH
_CALL_NEXT = 0xD000  # RCALL .+0
_RET, _RETI = 0x9508, 0x9518
_POINTER_JUMPS = (0x9409, 0x9419)  # IJMP, EIJMP
_POINTER_CALLS = (0x9509, 0x9519, *_POINTER_JUMPS)  # ICALL, EICALL
_TABLE_JUMP = "__tablejump2__"  # of libgcc, for a switch: it goes on within its caller, all of whose code is read

# Our assembly that pushes what a counter says, and pops it in a loop with the same counter.
_POPS_BY_COUNT = re.compile(r"le_tile_\d(_connected|_four|_two|_trits)?(_double)?_avr_s8|le_groups_\w*avr_s8")


@dataclass(frozen=True)
class _Function:
    """A function in the code: what it calls or jumps to; whether through a pointer; where it begins; its words."""

    name: str
    targets: tuple[int, ...]
    points: bool
    start: int
    words: tuple[int, ...]

    def has_inside(self, address: int) -> bool:
        return self.start < address < self.start + 2 * len(self.words)

    def behind(self, address: int) -> _Function:
        """From an address within it on."""
        name, words = f"{self.name}+{address - self.start}", self.words[(address - self.start) // 2 :]
        return _read(name, address, words)


class Code:
    """The linked code of a firmware.

    Args:
        firmware: linked.
        frames: of `frames_of`; what is not there is assembly, whose pushes are counted.

    Attributes:
        names: of all functions, and of what lies among them in flash.
    """

    def __init__(self, firmware: Elf, frames: Mapping[str, int | None]) -> None:
        placed = list(_functions(firmware))
        self._starts = [symbol.address for symbol, _ in placed]
        self._functions = [function for _, function in placed]
        self.names = [function.name for function in self._functions]
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
        """The function that begins there, be it amid another one, as of the compiler's library.

        Raises:
            UnprovedError: its frame or its calls are not known.
        """
        function = self._functions[bisect_right(self._starts, address) - 1]
        if function.start != address:
            if stem(function.name) in self._frames:
                raise UnprovedError(f"{function.name} calls what is amid its own code")
            function = function.behind(address)
        frame = self._frame(function)
        return Function(function.name, frame, tuple(Call(frame, target) for target in self._callees(function)))

    def _frame(self, function: _Function) -> int:
        """GCC tells that of its functions, copies of which have an ending; assembly's is what it pushes."""
        name = stem(function.name)
        if name not in self._frames:
            most = _pushed(function)
            if not _POPS_BY_COUNT.fullmatch(name) and not _pushes_at_most(most, function, self._return_bytes):
                raise UnprovedError(f"{function.name} pushes in a loop, or pops what it need not have pushed")
            return self._return_bytes + most
        frame = self._frames[name]
        if frame is None:
            raise UnprovedError(f"the frame of {function.name} is not always the same")
        if not _pushes_at_most(frame - self._return_bytes, function, self._return_bytes):
            raise UnprovedError(f"{function.name} pushes more in its code than the {frame} bytes that GCC tells")
        return frame

    def _callees(self, function: _Function) -> set[int]:
        found = {
            target if function.has_inside(target) else self._starts[bisect_right(self._starts, target) - 1]
            for target in function.targets
        }
        if function.points and function.name != _TABLE_JUMP:
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
        content = firmware.content(Symbol(symbol.name, symbol.address, size // 2 * 2, symbol.section))
        yield symbol, _read(symbol.name, symbol.address, tuple(value for (value,) in iter_unpack("<H", content)))


def _read(name: str, start: int, words: tuple[int, ...]) -> _Function:
    inside = range(start, start + 2 * len(words))
    targets, points, index, word = set[int](), False, 0, 0
    while index < len(words):
        word, here = words[index], start + 2 * index
        index += _length(word)
        points |= word in _POINTER_CALLS
        target = _target(word, words[index - 1] if index <= len(words) else 0, here)
        # GCC calls what is next to get two bytes of stack, and tells them.
        calls = _is(word, _CALL) or (_is(word, _RCALL) and target != start + 2 * index)
        if target is not None and (calls or target not in inside):
            targets.add(target)
    if words and not _ends(word):
        targets.add(inside.stop)  # it goes on in the next one
    return _Function(name, tuple(sorted(targets)), points, start, words)


def _pushed(function: _Function) -> int:
    """Bytes that an assembly pushes at most.

    From top to end: what is behind a return or a jump may be reached with the stack as deep as it ever was. That no way
    is deeper, `_pushes_at_most` says; of functions that pop by a counter nobody does but the tests on the boards.

    Raises:
        UnprovedError: the stack pointer comes from a register.
    """
    depth, most, index = 0, 0, 0
    while index < len(function.words):
        word = function.words[index]
        if any(_is(word, kind) for kind in _SETS_STACK) or word == _CALL_NEXT:
            raise UnprovedError(f"{function.name} sets the stack pointer, nobody knows to what")
        depth += _is(word, _PUSH) - _is(word, _POP)
        most = max(most, depth)
        depth = most if _ends(word) else max(depth, 0)
        index += _length(word)
    return most


def _pushes_at_most(most: int, function: _Function, return_bytes: int) -> bool:
    """Whether no way through a function, whichever branches it takes, has pushed more bytes than `most`."""
    depths, pending = {0: 0}, [0] if function.words else []
    while pending:
        index = pending.pop()
        word = function.words[index]
        allocated = return_bytes if word == _CALL_NEXT else 0
        after = depths[index] + _is(word, _PUSH) - _is(word, _POP) + allocated
        if after > most:
            return False
        for following in _ways(function, index):
            if depths.get(following, after - 1) < after:
                depths[following] = after
                pending.append(following)
    return True


def _ways(function: _Function, index: int) -> Iterator[int]:
    """Where an instruction may go on within its function; both are indices of words."""
    word, behind = function.words[index], index + _length(function.words[index])
    here = function.start + 2 * index
    target = _target(word, function.words[behind - 1] if behind <= len(function.words) else 0, here)
    ways = [] if _ends(word) else [behind]
    if any(_is(word, kind) for kind in _SKIPS) and behind < len(function.words):
        ways.append(behind + _length(function.words[behind]))
    if target is not None and not _is(word, _CALL) and not _is(word, _RCALL):
        ways.append((target - function.start) // 2)
    return (way for way in ways if 0 <= way < len(function.words))


def _ends(word: int) -> bool:
    """Whether nothing goes on behind it."""
    return word in (_RET, _RETI, *_POINTER_JUMPS) or _is(word, _JMP) or _is(word, _RJMP)


def _length(word: int) -> int:
    """Of an instruction, in words."""
    return 2 if any(_is(word, kind) for kind in (_CALL, _JMP, _LDS, _STS)) else 1


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
