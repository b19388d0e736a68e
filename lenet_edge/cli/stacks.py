"""What commands say of a firmware's stack: how deep it can get, which `build` proves, and how deep it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from lenet_edge.errors import CheckFailedError

if TYPE_CHECKING:
    from lenet_edge.hardware.firmware import Firmware

_ON_A_BOARD = "nobody knows which firmware the board has; without --port it is proved"


class ProvedStack(TypedDict):
    """How deep it can get, in bytes; None where that is not proved, or, of the problem, where it is."""

    stack_proved_bytes: int | None
    stack_problem: str | None


def proved_stack(built: Firmware | None) -> ProvedStack:
    """What is proved of a firmware; of None, which a real board has, nothing is."""
    if built is None:
        return {"stack_proved_bytes": None, "stack_problem": _ON_A_BOARD}
    return {"stack_proved_bytes": built.stack_depth or None, "stack_problem": built.stack_problem or None}


def stack_line(measured: int, proved: int | None, problem: str | None) -> str:
    """For the reader, in words."""
    if proved is not None:
        return f"stack: {proved:,} bytes proved, {measured:,} measured"
    return f"stack: {measured:,} bytes measured" + (f", not proved: {problem}" if problem else "")


def require_proved(measured: int, proved: int | None, result: object = None) -> None:
    """Refuse a stack that was deeper than is proved.

    Raises:
        CheckFailedError: it was.
    """
    if proved is not None and measured > proved:
        raise CheckFailedError(
            f"the stack was {measured:,} bytes deep, and {proved:,} are proved to be enough: the proof is wrong, or "
            "something writes below the stack. Please report this with the model and the board's name",
            result,
        )
