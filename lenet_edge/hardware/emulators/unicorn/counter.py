"""Counting instructions: by step of an inference, from the blocks that Unicorn runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lenet_edge.hardware.emulators.process import Count

__all__ = ["Counter"]


class Counter:
    """Executed instructions by step of an inference; see `Count`."""

    def __init__(self, count: Count, instruction_bytes: Callable[[bytes], list[int]], found: list[list[int]]) -> None:
        self._count, self._instruction_bytes, self._found = count, instruction_bytes, found
        self._lengths: dict[tuple[int, int], int] = {}
        self._units: list[int] = []

    def block(self, emulation: Any, address: int, size: int, _: Any) -> None:
        """A block is about to run: from where something jumped to, up to a branch."""
        count = self._count
        if not self._units:
            if address != count.begin:
                return
            self._units = [0]
        elif address == count.step:
            self._units.append(0)
        elif count.caller[0] <= address < count.caller[1]:
            self._found.append(self._units)
            self._units = []
            return
        length = self._lengths.get((address, size))
        if length is None:
            length = len(self._instruction_bytes(bytes(emulation.mem_read(address, size))))
            self._lengths[address, size] = length
        self._units[-1] += length
