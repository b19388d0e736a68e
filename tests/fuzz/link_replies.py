"""A device that lies: damaged replies to all requests but EXIT, and the host's side that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import mutations
import numpy as np
import valid

from lenet_edge.hardware import link


class _Stream:
    """A device that answers every request with the next of its bodies."""

    def __init__(self, bodies: list[bytes]) -> None:
        self.bodies, self.waiting = bodies, b""

    def write(self, data: bytes) -> None:
        request = link.Decoder().feed(data)[0]
        body = self.bodies.pop(0) if self.bodies else b""
        if isinstance(request, link.Malformed):  # longer than a device can take
            self.waiting = link.encode(link.ERROR, 0, bytes([request.code]))
        else:
            self.waiting = link.encode(request.type | link.REPLY, request.id, body)

    def read(self, _timeout_s: float) -> bytes:
        came, self.waiting = self.waiting, b""
        return came

    def close(self) -> None:
        pass


def mutate(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Flag, bodies: the flag says whether they come in good frames or are the stream itself."""
    if random.random() < 0.3:
        return b"\0" + mutations.damage(random, data, others)
    hello = bytearray(data[2 : 2 + data[0]])
    for _ in range(random.choice((1, 1, 2))):
        at = random.choice((*range(20), *range(20), random.randrange(len(hello))))  # the sizes are in front
        size = random.choice((1, 1, 2))
        hello[at : at + size] = mutations.number(random, size)
    if random.random() < 0.2:
        hello = bytearray(mutations.damage(random, bytes(hello), others))
    tail = data[2 + data[0] :] if random.random() < 0.5 else mutations.damage(random, data[2 + data[0] :], others)
    return b"\1" + len(hello).to_bytes(2, "little") + bytes(hello) + tail


def read(data: bytes, _folder: Path) -> None:
    bodies, at = [], 1
    while at + 2 <= len(data):
        size = int.from_bytes(data[at : at + 2], "little")
        bodies.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    device = link.Device(_Stream(bodies) if data[:1] == b"\1" else _Raw(data), timeout_s=0.01)
    hello = device.hello()
    device.expect(hello, valid.BOARD, valid.model().fingerprint)
    image = np.zeros((1, hello.input_bytes), np.int8)
    device.infer_all(image)
    device.profile(image.tobytes())
    link.infer_frame(device, np.zeros((2, 2), np.uint8), 2, 0)


class _Raw(_Stream):
    def __init__(self, data: bytes) -> None:
        super().__init__([])
        self.data = data

    def write(self, data: bytes) -> None:
        self.waiting = self.data
