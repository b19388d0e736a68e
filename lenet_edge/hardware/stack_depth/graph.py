"""The deepest path through a graph of calls, whichever instruction set the functions are of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Call", "Function", "Path", "UnprovedError", "deepest"]


class UnprovedError(Exception):
    """A call or a frame that is not known, or a function that may call itself."""


@dataclass(frozen=True)
class Call:
    """A call, or a jump to another function: where to, and how many bytes lie on the stack when it is reached."""

    depth: int
    target: int


@dataclass(frozen=True)
class Function:
    """What a function asks of the stack.

    Attributes:
        name: for the reader.
        depth: bytes that it has on the stack at most.
        calls: what it calls.
    """

    name: str
    depth: int
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True)
class Path:
    """Bytes that a path takes, and the names of its functions."""

    bytes: int
    names: tuple[str, ...]


def deepest(start: int, function_at: Callable[[int], Function]) -> Path:
    """The deepest path from a function.

    Args:
        start: its address.
        function_at: the function at an address; asked once for each that can be reached.

    Raises:
        UnprovedError: a function may call itself; or what `function_at` raises.
    """
    known: dict[int, Path] = {}
    chain: dict[int, str] = {}

    def visit(address: int) -> Path:
        if address in known:
            return known[address]
        function = function_at(address)
        if address in chain:
            raise UnprovedError(f"{function.name} may call itself: {' > '.join((*chain.values(), function.name))}")
        chain[address] = function.name
        found = Path(function.depth, (function.name,))
        for call in sorted(set(function.calls), key=lambda call: (call.target, call.depth)):
            below = visit(call.target)
            if call.depth + below.bytes > found.bytes or (
                # A leaf that takes nothing is named too: the path is for the reader.
                len(found.names) == 1 and call.depth + below.bytes == found.bytes
            ):
                found = Path(call.depth + below.bytes, (function.name, *below.names))
        del chain[address]
        known[address] = found
        return found

    return visit(start)
