"""The board's UART as its TOML describes it, and what stops firmware that never looks at it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

from lenet_edge.hardware.boards import Flag, Uart, UartReceive, UartTransmit

__all__ = ["PAGE", "PATIENCE", "UartModel", "Watchdog"]

PAGE = 4096
"""Unicorn maps whole pages of so many bytes."""

PATIENCE = 4
"""Times the firmware may find no byte before it is put to sleep."""

_QUIET_S = 0.05  # firmware that has left the UART alone for so long is in the midst of something else
_LOOKS = 20  # how often that is looked at before the firmware is stopped wherever it is


class UartModel:
    """A polled UART from the description in the board's TOML: registers at offsets, ready flags as bits of them.

    Attributes:
        received: bytes for the firmware.
        sent: bytes of the firmware.
        idle_polls: how often the firmware asked for a byte in vain since it last sent one.
        accesses: of its registers, so far.
        stop_soon: stop the emulation at the next look at a flag, which the firmware may repeat without harm.
    """

    def __init__(self, description: Uart, sleep: Callable[[], None]) -> None:
        self.description = description
        self.received: deque[int] = deque()
        self.sent = bytearray()
        self.idle_polls = 0
        self.accesses = 0
        self.stop_soon = False
        self._sleep = sleep
        self._page_offset = description.base % PAGE
        self._receive: UartReceive = description.receive
        self._transmit: UartTransmit = description.transmit

    def read(self, _emulation: Any, offset: int, _size: int, _: Any) -> int:
        self.accesses += 1
        register = offset - self._page_offset
        receive = self._receive
        if register == receive.data:
            if self.received:
                return self.received.popleft()
            self._idle()
            return receive.empty or 0
        if self.stop_soon:
            self._sleep()
        value = 0
        if receive.ready is not None and register == receive.ready.offset:
            value |= _flag_bits(receive.ready, ready=bool(self.received))
            if not self.received:
                self._idle()
        if self._transmit.ready is not None and register == self._transmit.ready.offset:
            value |= _flag_bits(self._transmit.ready, ready=True)
        return value

    def write(self, _emulation: Any, offset: int, _size: int, value: int, _: Any) -> None:
        self.accesses += 1
        if offset - self._page_offset == self._transmit.data:
            self.sent.append(value & 0xFF)
            self.idle_polls = 0

    def _idle(self) -> None:
        """The firmware asks for a byte and there is none: after a few times it is put to sleep.

        Its way of waiting for room to send may read the same register, so the first times mean nothing.
        """
        self.idle_polls += 1
        if self.idle_polls >= PATIENCE:
            self._sleep()


class Watchdog:
    """Stops an emulation after a time, from its own thread, where nothing is done twice.

    Unicorn repeats an access to the UART during which another thread stops it:
    a byte is then sent twice, or one that was taken is lost. So the UART itself
    stops at a look at a flag, and only firmware that leaves the UART alone is
    stopped from here. (emu_start's own time-out is not a way round: with that, each
    block of instructions ends in a look at the clock.)
    """

    def __init__(self, timeout_s: float, uart: UartModel, stop: Callable[[], None]) -> None:
        self._timeout_s, self._uart, self._stop = timeout_s, uart, stop
        self._ended = Event()
        uart.stop_soon = False
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The emulation has stopped; on return nothing will stop the next one."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        if self._ended.wait(self._timeout_s):
            return
        self._uart.stop_soon = True
        looks = 0
        while True:
            seen, looks = self._uart.accesses, looks + 1
            if self._ended.wait(_QUIET_S):
                return
            if self._uart.accesses == seen or looks >= _LOOKS:
                self._stop()


def _flag_bits(flag: Flag, *, ready: bool) -> int:
    return flag.value if ready else flag.mask & ~flag.value
