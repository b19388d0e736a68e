"""What a device says of itself: the reply to HELLO."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lenet_edge.errors import LinkError

__all__ = ["COUNTER_UNITS", "HELLO_BYTES", "PROTOCOL", "SELF_TEST_PARTS", "Hello"]

PROTOCOL = 1
COUNTER_UNITS = ("none", "cycles", "instructions", "ticks")
SELF_TEST_PARTS = ("the CRC of the weights is wrong", "the golden vectors come out wrong")

_NAME_MAX = 128  # characters of a board's name
_SHOWN = 60  # bytes of a name that an error message shows
_HELLO = struct.Struct("<BBBBIHHHHI32s")
HELLO_BYTES = _HELLO.size
"""Of HELLO's reply, in front of the board's name."""


@dataclass(frozen=True)
class Hello:
    """The reply to HELLO: what the device is and what it runs.

    Sizes are in bytes; `counter_unit` is one of `COUNTER_UNITS`, `fingerprint`
    the hexadecimal name of the model, `self_test` 0 where the self-test passed.
    """

    self_test: int
    counter_unit: str
    steps: int
    clock_hz: int
    input_bytes: int
    output_bytes: int
    stack_used: int
    stack_size: int
    buffer_bytes: int
    fingerprint: str
    board: str

    @classmethod
    def parse(cls, body: bytes) -> Hello:
        """The reply's body.

        Raises:
            LinkError: it is of another version of the protocol, or not a HELLO.
        """
        if body[:1] and body[0] != PROTOCOL:
            raise LinkError(
                f"the firmware speaks version {body[0]} of the protocol, this lenet-edge version {PROTOCOL}; "
                "build the firmware again and flash it"
            )
        if len(body) <= _HELLO.size:
            raise LinkError(f"the reply to HELLO has {len(body)} bytes, fewer than the {_HELLO.size + 1} it needs")
        _, self_test, unit, steps, clock_hz, inputs, outputs, used, stack, buffer, fingerprint = _HELLO.unpack_from(
            body
        )
        name = body[_HELLO.size :]
        if not inputs or not outputs:
            raise LinkError(f"the reply to HELLO is of a model with {inputs} bytes of input and {outputs} of output")
        if unit >= len(COUNTER_UNITS):
            raise LinkError(f"the reply to HELLO names counter unit {unit}; 0 to {len(COUNTER_UNITS) - 1} are known")
        if self_test >> len(SELF_TEST_PARTS):
            raise LinkError(f"the reply to HELLO has the self-test result {self_test:#x}, with unknown bits")
        if len(name) > _NAME_MAX or not all(0x20 <= byte <= 0x7E for byte in name):
            shown = f"{name[:_SHOWN]!r}{'...' if len(name) > _SHOWN else ''}"
            raise LinkError(
                f"the reply to HELLO has the board name {shown} of {len(name)} bytes, "
                f"which is not printable ASCII of at most {_NAME_MAX}"
            )
        return cls(
            self_test=self_test,
            counter_unit=COUNTER_UNITS[unit],
            steps=steps,
            clock_hz=clock_hz,
            input_bytes=inputs,
            output_bytes=outputs,
            stack_used=used,
            stack_size=stack,
            buffer_bytes=buffer,
            fingerprint=fingerprint.hex(),
            board=name.decode("ascii"),
        )

    def encode(self) -> bytes:
        """The reply's body: what `parse` reads."""
        numbers = (self.self_test, COUNTER_UNITS.index(self.counter_unit), self.steps, self.clock_hz)
        sizes = (self.input_bytes, self.output_bytes, self.stack_used, self.stack_size, self.buffer_bytes)
        return _HELLO.pack(PROTOCOL, *numbers, *sizes, bytes.fromhex(self.fingerprint)) + self.board.encode("ascii")
