"""How deep a firmware's stack can get: proved on the linked code, and against the frames that GCC tells.

Nothing in the firmware recurses, and no interrupt is enabled; the first is checked. A call through a pointer has the
targets that `pointers` names; any other one is a reason to say that nothing is proved, and so is a function whose
address is taken and that no such pointer has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from lenet_edge.hardware.elf import Elf
from lenet_edge.hardware.stack_depth import avr, flow
from lenet_edge.hardware.stack_depth.frames import frames_of
from lenet_edge.hardware.stack_depth.graph import UnprovedError, deepest
from lenet_edge.hardware.stack_depth.pointers import undeclared
from lenet_edge.hardware.stack_depth.taken import taken_in

__all__ = ["StackDepth", "frames_of", "stack_depth", "taken_in"]

_STARTS = {"EM_AVR": "main", "EM_ARM": "le_reset", "EM_RISCV": "le_start"}
"""The first function with a stack. An AVR's frames have the return address that the call of main pushes."""
_FAULTS = ("le_fault_on_fresh_stack", "le_fault")
"""What a fault begins the stack again for; an AVR has none."""
_INFERENCES = ("le_infer_with", "le_infer_in_place", "le_infer_small")

_EXCEPTION_BYTES, _EXCEPTION_FLOAT_BYTES = 32, 104
"""What a Cortex-M pushes at a fault, and with floating-point registers: Armv7-M ARM (DDI 0403), B1.5.7."""
_ALIGNMENT_BYTES = 4  # it pushes to a multiple of 8


@dataclass(frozen=True)
class StackDepth:
    """The deepest path.

    Attributes:
        bytes: of stack that it takes; None where nothing is proved.
        path: its functions, from the first on that has a stack.
        problem: why nothing is proved.
        inference: bytes that an inference takes of it, from the function on that a program of one's own calls.
        fault: bytes that the processor itself pushes at a fault, on top of whatever is there.
    """

    bytes: int | None
    path: tuple[str, ...] = ()
    problem: str = ""
    inference: int = 0
    fault: int = 0


def stack_depth(firmware: Elf, frames: Mapping[str, int | None], taken: Iterable[str] = ()) -> StackDepth:
    """The deepest path from the start of a firmware, or from where a fault begins the stack again.

    Args:
        firmware: linked.
        frames: of `frames_of`; what is not there is assembly or of the compiler's library, whose code alone is read.
        taken: of `taken_in`.
    """
    try:
        code: avr.Code | flow.Code = (avr if firmware.machine == "EM_AVR" else flow).Code(firmware, frames)
        if unknown := undeclared(taken, code.names):
            raise UnprovedError(f"the address of {unknown[0]} is taken, and nobody knows who calls it")
        function_at = cache(code.function_at)
        start = code.start(_STARTS[firmware.machine])
        if start is None:
            raise UnprovedError(f"no function is called {_STARTS[firmware.machine]}")
        others, own = ([at for at in map(code.start, names) if at is not None] for names in (_FAULTS, _INFERENCES))
        found = max((deepest(at, function_at) for at in (start, *others)), key=lambda path: path.bytes)
        inference = max((deepest(at, function_at).bytes for at in own), default=0)
    except UnprovedError as error:
        return StackDepth(None, problem=str(error))
    fault = 0
    if isinstance(code, flow.Code) and firmware.machine == "EM_ARM":
        fault = _ALIGNMENT_BYTES + (_EXCEPTION_FLOAT_BYTES if code.floats else _EXCEPTION_BYTES)
    return StackDepth(found.bytes, found.names, "", inference, fault)
