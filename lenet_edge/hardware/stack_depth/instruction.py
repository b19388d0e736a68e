"""What an instruction does to the stack pointer and to the way of control, whichever instruction set it is of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Instruction", "Pointer"]


class Pointer(Enum):
    """How an instruction takes the program counter from a register or from memory."""

    CALL = "call"
    CALL_OR_SWITCH = "call or switch"  # a jump: to a function that returns in our place, or within this one
    SWITCH = "switch"  # a jump within the function, as by a table
    RETURN = "return"


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        size: in bytes.
        pushed: bytes by which the stack grows; negative: shrinks; None: it gets its pointer from a register.
        jumps: addresses that it may go to.
        call: the address that it calls.
        pointer: whether, and how, it goes through a pointer.
        register: that has the pointer, where that is said of it.
        keeps_link: the register that gets a copy of the return address.
        saves_link: whether it pushes the return address, above whatever else it pushes.
        pops: the register that gets what is popped last.
        ends: nothing goes on behind it.
        conditional: of Thumb's IT: how many instructions behind it may be left out.
        floats: it is of the floating-point unit or of the vector extension, whose registers exceptions save, too.
        unknown: it is none of those that compilers and our assembly have: nobody knows what it does to the stack.
    """

    size: int
    pushed: int | None = 0
    jumps: tuple[int, ...] = ()
    call: int | None = None
    pointer: Pointer | None = None
    register: int | None = None
    keeps_link: int | None = None
    saves_link: bool = False
    pops: int | None = None
    ends: bool = False
    conditional: int = 0
    floats: bool = False
    unknown: bool = False
