"""The functions of an Arm's or a RISC-V core's linked code: every way through them, and the stack there.

A jump to another function is followed with the stack as it is then, so that a function that ends in another one's code
is seen as a whole. Where ways meet, the stack must be equally deep, and where a function returns, it must be as it was:
what assembly is taken to push is checked by what it pops, and what GCC tells of its frames by the code.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from lenet_edge.hardware.elf import Elf, Symbol
from lenet_edge.hardware.stack_depth import riscv, thumb
from lenet_edge.hardware.stack_depth.graph import Call, Function, UnprovedError
from lenet_edge.hardware.stack_depth.instruction import Instruction, Pointer
from lenet_edge.hardware.stack_depth.pointers import pointed_from, stem

__all__ = ["Code"]

_DECODERS: Mapping[str, Callable[[bytes, int], Instruction]] = {"EM_ARM": thumb.decode, "EM_RISCV": riscv.decode}
_LONGEST = 4  # bytes of an instruction
_PADDING = (0xBF00, 0x46C0, 0x0001)  # instructions that do nothing, before data or a function
_TABLE_JUMP = "__gnu_thumb1_case_"  # functions of libgcc that go on at an entry of the table behind the call
_UNTOLD_ON_ARM = 16  # bytes of arguments in registers that a function may put on the stack, and GCC does not tell
_BY_REGISTER = -1  # depth, once the stack pointer came from a register: it is the frame that GCC tells


@dataclass(frozen=True)
class _Link:
    """Where an Arm's return address is: above so many bytes of the stack, or in a register.

    A Cortex-M0 cannot pop it to LR: a function with arguments on the stack ends with ``pop {r3}; add sp, #8; bx r3``.
    """

    depth: int | None = None
    register: int | None = None


_IN_LR, _LOST = _Link(register=14), _Link()


@dataclass(frozen=True)
class _At:
    """An instruction that can be reached, the depth there, and how many may be left out from there on."""

    address: int
    depth: int
    conditional: int = 0
    link: _Link = _IN_LR


@dataclass
class _Walk:
    """What was found so far on the ways through a function.

    Attributes:
        depths: of each instruction that was reached, before it.
        deepest: of each function whose code was reached.
        switches: jumps of unknown target that stay within their function: their addresses, and the depths there.
        seen: of these functions, those whose other code was entered.
        links: registers that got a copy of the return address, with their function.
        kept: where the return address is at each instruction, as far as all ways that meet there agree.
    """

    pending: list[_At]
    depths: dict[int, int] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    deepest: dict[Symbol, int] = field(default_factory=dict)
    switches: dict[Symbol, dict[int, int]] = field(default_factory=dict)
    seen: set[Symbol] = field(default_factory=set)
    links: set[tuple[Symbol, int | None]] = field(default_factory=set)
    kept: dict[int, _Link] = field(default_factory=dict)


class Code:
    """The linked code of a firmware.

    Args:
        firmware: linked, for an Arm of the M profile or a RISC-V core.
        frames: of `frames_of`; what is not there is assembly or of the compiler's library.

    Attributes:
        names: of all functions.
        floats: whether what was walked has instructions of the floating-point unit or the vector extension.
    """

    def __init__(self, firmware: Elf, frames: Mapping[str, int | None]) -> None:
        self._decode = _DECODERS[firmware.machine]
        self._is_arm = firmware.machine == "EM_ARM"
        self._frames = frames
        self._untold = _UNTOLD_ON_ARM if self._is_arm else 0
        self._text = next(part for part in firmware.sections if part.name == ".text")
        self._content = firmware.content(Symbol(".text", self._text.address, self._text.size, ".text"))
        self._symbols = _functions(firmware, self._text.address, self._text.address + self._text.size)
        self._starts = [symbol.address for symbol in self._symbols]
        self._marks, self._data = [at for at, _ in firmware.marks], [is_data for _, is_data in firmware.marks]
        self.names = [symbol.name for symbol in self._symbols if not self._is_data(symbol.address)]
        self.floats = False

    def start(self, name: str) -> int | None:
        """The address of the function of that name; None where there is none.

        Raises:
            UnprovedError: there are several.
        """
        found = [symbol.address for symbol in self._symbols if symbol.name == name]
        if len(found) > 1:
            raise UnprovedError(f"{len(found)} functions are called {name}")
        return found[0] if found else None

    def function_at(self, address: int) -> Function:
        """The function that begins there, be it amid another one.

        Raises:
            UnprovedError: its frame or its calls are not known.
        """
        walk, own = _Walk([_At(address, 0)]), self._symbol(address)
        told = self._frames.get(stem(own.name), 0)
        if told is None:
            raise UnprovedError(f"the frame of {own.name} is not always the same")
        while walk.pending or self._enter_switches(walk):
            self._follow(walk, walk.pending.pop())
        if told and told + self._untold < walk.deepest[own]:  # it is 0 of functions that are all assembly, too
            raise UnprovedError(f"{own.name} takes {walk.deepest[own]} bytes in its code, and {told} as GCC tells")
        name = own.name if own.address == address else f"{own.name}+{address - own.address}"
        return Function(name, max(walk.deepest.values()), tuple(walk.calls))

    def _follow(self, walk: _Walk, at: _At | None) -> None:
        """From an instruction on, until a way ends or meets another one."""
        while at is not None and self._is_new(walk, at):
            at = self._step(walk, replace(at, link=walk.kept[at.address]))

    def _is_new(self, walk: _Walk, at: _At) -> bool:
        before, kept = walk.depths.get(at.address), walk.kept.setdefault(at.address, at.link)
        loses_link = kept not in (at.link, _LOST)
        if loses_link:
            walk.kept[at.address] = _LOST
        if before is None or (before != at.depth and at.depth == _BY_REGISTER):
            walk.depths[at.address] = at.depth
            return True
        if before not in (at.depth, _BY_REGISTER):
            raise UnprovedError(
                f"at {at.address:#x} of {self._symbol(at.address).name} the stack is {before} or {at.depth} bytes deep"
            )
        return loses_link

    def _step(self, walk: _Walk, at: _At) -> _At | None:
        """One instruction; where it goes on behind it, None where it does not."""
        symbol, instruction = self._symbol(at.address), self._instruction(at.address)
        if instruction.unknown:
            raise UnprovedError(f"{symbol.name} has an instruction at {at.address:#x} that nobody knows")
        after, behind = self._depth_after(symbol, instruction, at), at.address + instruction.size
        link = _link_after(instruction, at, after)
        self.floats |= instruction.floats
        bytes_deep = self._bytes(symbol, after)
        walk.deepest[symbol] = max(walk.deepest.get(symbol, 0), bytes_deep, self._bytes(symbol, at.depth))
        for target in instruction.jumps:
            there = self._symbol(target)
            if there is not symbol and (after == _BY_REGISTER or (after == 0 and there.address == target)):
                walk.calls.append(Call(bytes_deep, target))
            else:
                walk.pending.append(_At(target, after, link=link))
        if instruction.call is not None:
            walk.calls.append(Call(bytes_deep, instruction.call))
            if self._symbol(instruction.call).name.startswith(_TABLE_JUMP):
                walk.switches.setdefault(symbol, {})[at.address] = after
                return None
            if self._is_data(behind) or (behind >= symbol.address + symbol.size and self._is_c(symbol)):
                return None  # it calls what does not return; an assembly may go on in the next function
        if instruction.keeps_link is not None:
            walk.links.add((symbol, instruction.keeps_link))
        if instruction.pointer is not None:
            keeps = (symbol, instruction.register) in walk.links and not self._is_c(symbol)
            keeps |= instruction.register is not None and instruction.register == at.link.register
            self._go_through_pointer(walk, at.address, Pointer.RETURN if keeps else instruction.pointer, after)
        if instruction.ends and not at.conditional:
            return None
        left = instruction.conditional or max(0, at.conditional - 1)
        return _At(behind, at.depth if instruction.ends else after, left, link)

    def _depth_after(self, symbol: Symbol, instruction: Instruction, at: _At) -> int:
        pushed = instruction.pushed
        if pushed == 0 or (at.depth == _BY_REGISTER and pushed is not None):
            return at.depth
        if pushed is None or (at.conditional and not instruction.ends):
            # GCC tells more than it has pushed so far, or it was not GCC that set it, but an assembly within its code.
            if max(at.depth, 0) >= (self._frames.get(stem(symbol.name)) or 0):
                raise UnprovedError(f"{symbol.name} sets the stack pointer at {at.address:#x}, nobody knows to what")
            return _BY_REGISTER
        if at.depth + pushed < 0:
            raise UnprovedError(f"{symbol.name} pops more at {at.address:#x} than it pushed")
        return at.depth + pushed

    def _go_through_pointer(self, walk: _Walk, address: int, pointer: Pointer, depth: int) -> None:
        symbol = self._symbol(address)
        if pointer is Pointer.RETURN:
            if depth not in (0, _BY_REGISTER):
                raise UnprovedError(f"{symbol.name} returns with {depth} bytes on the stack")
            return
        names = pointed_from(symbol.name, (each.name for each in self._symbols))
        targets = [each.address for each in self._symbols if each.name in names]
        if pointer is not Pointer.SWITCH and targets:
            walk.calls += [Call(self._bytes(symbol, depth), target) for target in targets]
            if pointer is Pointer.CALL or self._is_arm:
                return
            walk.seen.add(symbol)  # as it is a call, it need not be a switch
        elif pointer is Pointer.CALL or (pointer is Pointer.CALL_OR_SWITCH and self._is_arm and self._is_c(symbol)):
            raise UnprovedError(f"{symbol.name} calls through a pointer, nobody knows what")
        walk.switches.setdefault(symbol, {})[address] = depth

    def _enter_switches(self, walk: _Walk) -> bool:
        """Let jumps of unknown target go to whatever of their function was not reached; whether there was any.

        On RISC-V a call at a function's end through a pointer looks the same, but leaves nothing that was not reached;
        where there are two such jumps nobody knows which is which.
        """
        for symbol, depths in walk.switches.items():
            depth, *others = set(depths.values())
            if others or (len(depths) > 1 and not self._is_arm and self._is_c(symbol)):
                where = " and ".join(f"{at:#x}" for at in depths)
                raise UnprovedError(f"{symbol.name} jumps at {where}, nobody knows where to")
            left = self._not_reached(symbol, walk)
            if left is not None:
                walk.pending.append(_At(left, depth, link=_LOST))
                walk.seen.add(symbol)
                return True
            if symbol not in walk.seen:
                raise UnprovedError(f"{symbol.name} calls through a pointer, nobody knows what")
        return False

    def _not_reached(self, symbol: Symbol, walk: _Walk) -> int | None:
        """The first instruction of a function on no way so far."""
        at = symbol.address
        while at < symbol.address + symbol.size:
            if self._is_data(at) or (at not in walk.depths and self._halfword(at) in _PADDING):
                at += 2
            elif at not in walk.depths:
                return at
            else:
                at += self._instruction(at).size
        return None

    def _halfword(self, address: int) -> int:
        at = address - self._text.address
        return int.from_bytes(self._content[at : at + 2], "little")

    def _is_c(self, symbol: Symbol) -> bool:
        return stem(symbol.name) in self._frames

    def _bytes(self, symbol: Symbol, depth: int) -> int:
        if depth != _BY_REGISTER:
            return depth
        if not (told := self._frames.get(stem(symbol.name))):
            raise UnprovedError(f"{symbol.name} is entered by another function, and nobody knows how deep it is there")
        return told + self._untold

    def _is_data(self, address: int) -> bool:
        index = bisect_right(self._marks, address) - 1
        return index >= 0 and self._data[index]

    def _symbol(self, address: int) -> Symbol:
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._text.address + self._text.size:
            raise UnprovedError(f"something at {address:#x}, which is not code, is called")
        return self._symbols[index]

    def _instruction(self, address: int) -> Instruction:
        at = address - self._text.address
        if self._is_data(address):
            raise UnprovedError(f"{self._symbol(address).name} runs into data at {address:#x}")
        return self._decode(self._content[at : at + _LONGEST], address)


def _link_after(instruction: Instruction, at: _At, after: int) -> _Link:
    """Where the return address is behind an instruction; nobody knows where it may have been changed."""
    if at.link == _IN_LR:
        if instruction.saves_link:
            return _LOST if at.conditional else _Link(depth=at.depth)
        return at.link if instruction.call is None and instruction.pointer is None else _LOST
    if at.link.depth is not None:
        if after > at.link.depth:
            return at.link
        return _Link(register=instruction.pops) if after == at.link.depth and not at.conditional else _LOST
    moves_only_sp = bool(instruction.pushed) and instruction.size == 2 and instruction.pops is None
    return at.link if moves_only_sp else _LOST


def _functions(firmware: Elf, start: int, end: int) -> list[Symbol]:
    """What is in the code, ascending, but for labels amid a function; to the next one where no size is told.

    What lies behind a function whose size is told is nobody's: code that several functions of an assembly share.
    """
    code = [place for place in firmware.places if place.section == ".text" and start <= place.address < end]
    largest = {place.address: place for place in sorted(code, key=lambda each: each.size)}
    kept: list[Symbol] = []
    for symbol in sorted(largest.values(), key=lambda each: each.address):
        if not kept or symbol.size or symbol.address >= kept[-1].address + kept[-1].size:
            kept.append(symbol)
    found: list[Symbol] = []
    for symbol, following in zip(kept, [*(each.address for each in kept[1:]), end], strict=True):
        size = symbol.size or following - symbol.address
        found.append(Symbol(symbol.name, symbol.address, size, symbol.section))
        if (behind := symbol.address + size) < following:
            found.append(Symbol(f"the code at {behind:#x}", behind, following - behind, symbol.section))
    return found
