"""A board with its firmware running, ready to be asked: in an emulator, or at a serial port."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lenet_edge.errors import BadInputError, LinkError, MissingToolError
from lenet_edge.files import read_bytes, temporary_folder
from lenet_edge.hardware import tools
from lenet_edge.hardware.boards import Board
from lenet_edge.hardware.elf import Elf, to_elf
from lenet_edge.hardware.emulators.process import CallCount, Count, read_counts
from lenet_edge.hardware.layout import require_layout
from lenet_edge.hardware.limits import GOLDEN_COUNT
from lenet_edge.hardware.link import ByteStream, Device, Hello
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.model import macs as macs_of_layer

__all__ = [
    "EMULATORS",
    "Session",
    "choose_emulator",
    "connect",
    "inference_s",
    "macs_of",
    "open_port",
    "self_test_s",
    "sizes_of",
]

EMULATORS = ("unicorn", "qemu", "simavr")
"""In the order in which `auto` takes them."""

_BANNER_S = {"unicorn": 60.0, "qemu": 60.0, "simavr": 240.0}
_REPLY_S = {"unicorn": 30.0, "qemu": 30.0, "simavr": 120.0}
_SMALL_MACS = 1_000_000  # of an inference that these times are for; what a larger model has more takes longer
_MACS_PER_S = {"unicorn": 1e6, "qemu": 1e6, "simavr": 0.25e6}  # on a busy machine; else ten times that and more
_COUNTING = {"unicorn": 10}  # so many times as long, since it calls Python for each block; the others take little more
_SLOW_CLOCK_HZ = 16_000_000
_CYCLES_PER_MAC = 100  # of a real board: plain C on a small core


@dataclass(frozen=True)
class Session:
    """A running board.

    Attributes:
        device: to ask.
        hello: what it said it is.
        banner: what it printed when it started; "" where it was running already.
        emulator: "unicorn", "qemu", "simavr" or the name of the port.
        image_sha256: of what runs there; "" at a port, where only the board knows.
    """

    device: Device
    hello: Hello
    banner: str
    emulator: str
    image_sha256: str = ""
    _counts: Any = None

    def counts(self, last: int | None = None) -> list[CallCount]:
        """The instructions of each inference so far, or of the last so many, where counting was asked for."""
        return self._counts(last) if self._counts is not None else []


def choose_emulator(board: Board, name: str = "auto") -> str:
    """The emulator of that name, or the first that is installed and has the board.

    Raises:
        BadInputError: the board's TOML has none of that name, or none at all.
        MissingToolError: it is not installed.
    """
    described = [each for each in EMULATORS if getattr(board.emulator, each) is not None]
    if not described:
        raise BadInputError(f"no emulator runs {board.name}: {board.status}. A real one is reached with --port")
    if name != "auto":
        if name not in described:
            raise BadInputError(f"{name} does not run {board.name}; {' and '.join(described)} would")
        return name
    present = tools.can_emulate(board)
    for each in described:
        if each in present:
            return each
    missing = [f"{tool.name} ({tool.install})" for tool in tools.needed(board, "emulate") if not tool.found]
    raise MissingToolError(f"no emulator for {board.name} is installed: {' or '.join(missing)}")


def sizes_of(model: QuantizedModel) -> tuple[int, int]:
    """Bytes of a model's input and of its output: what a device that runs it must say."""
    return math.prod(model.input.shape), math.prod(model.output.shape)


def macs_of(model: QuantizedModel) -> int:
    """Multiply-accumulates of an inference of the model."""
    return sum(map(macs_of_layer, model.layers))


def inference_s(board: Board | None, macs: int, emulator: str | None = None, *, count: bool = False) -> float:
    """How much longer than for a small model to wait for an inference of so many multiply-accumulates, in seconds.

    Args:
        board: None where it is not known yet.
        emulator: "unicorn", "qemu" or "simavr"; None: on the board itself.
        count: whether it counts instructions.
    """
    clock_hz = _SLOW_CLOCK_HZ if board is None else board.cpu.clock_hz
    rate = clock_hz / _CYCLES_PER_MAC if emulator is None else _MACS_PER_S[emulator]
    return max(0, macs - _SMALL_MACS) / rate * (_COUNTING.get(emulator or "", 1) if count else 1)


def self_test_s(board: Board | None, macs: int, emulator: str | None = None) -> float:
    """As `inference_s`, for the self-test that comes before the banner."""
    return GOLDEN_COUNT * inference_s(board, macs, emulator)


@contextmanager
def connect(
    board: Board,
    elf: Path,
    fingerprint: str,
    *,
    sizes: tuple[int, int] | None = None,
    emulator: str = "auto",
    count: bool = False,
    macs: int = 0,
) -> Iterator[Session]:
    """Start the firmware in an emulator and wait until it has said what it is; the emulator ends with the block.

    The file is read once. The emulator gets an ELF made from its `Elf`, so that it runs the bytes that
    the hash is of, whatever happens to the file in the meantime and whatever else is in it.

    Args:
        elf: the firmware.
        fingerprint: of the model that it should run.
        sizes: bytes of that model's input and output (`sizes_of`), where it is at hand.
        count: whether to count instructions.
        macs: of an inference (`macs_of`): a large model gets more time.

    Raises:
        MissingToolError, BadInputError: as `choose_emulator`; the file is not an ELF, or its layout is not the board's.
        LinkError: no banner, no answer, another board's or model's firmware, a self-test that failed.
    """
    name = choose_emulator(board, emulator)
    image = _read_image(board, elf)
    with temporary_folder() as folder:
        private = folder / "firmware.elf"
        private.write_bytes(to_elf(image))
        wanted = _what_to_count(image, elf, folder / "counts") if count else None
        stream, counts = _start(board, private, name, wanted)
        try:
            device = Device(stream, _BANNER_S[name] + self_test_s(board, macs, name))
            banner = device.banner() if board.link == "full" else device.ready()
            device.timeout_s = _REPLY_S[name] + inference_s(board, macs, name, count=count)
            hello = device.hello()
            device.expect(hello, board.name, fingerprint, sizes, argument=board.argument)
            yield Session(device, hello, banner, name, image.sha256, counts)
        finally:
            stream.close()


@contextmanager
def open_port(
    board: Board | None,
    port: str,
    fingerprint: str,
    *,
    sizes: tuple[int, int] | None = None,
    baud: int = 115200,
    macs: int = 0,
) -> Iterator[Session]:
    """Ask a real board at a serial port, which may have been running for long.

    Args:
        board: None: whichever it is.
        fingerprint, sizes, macs: as of `connect`.

    Raises:
        MissingToolError: pyserial is not installed.
        LinkError: the port cannot be opened, or as `connect`.
    """
    from lenet_edge.hardware.serial_port import SerialStream

    stream = SerialStream(port, baud)
    try:
        device = Device(stream)
        usual_s = device.timeout_s
        device.timeout_s = usual_s + self_test_s(board, macs)  # opening the port resets some boards
        hello = device.hello()
        device.timeout_s = usual_s + inference_s(board, macs)
        name, argument = (board.name, board.argument) if board else (hello.board, None)
        device.expect(hello, name, fingerprint, sizes, argument=argument)
        yield Session(device, hello, "", port)
    finally:
        stream.close()


def _read_image(board: Board, elf: Path) -> Elf:
    if not elf.is_file():
        raise LinkError(f"the firmware {elf} does not exist; `lenet-edge build --board {board.argument}` makes it")
    image = Elf(read_bytes(elf, "the firmware"), str(elf))
    require_layout(image, board, str(elf))
    return image


def _what_to_count(image: Elf, elf: Path, out: Path) -> Count:
    """The addresses of an inference in the firmware."""
    begins, steps = "le_infer_with", "le_infer_step"
    if begins not in image.symbols:  # of a board that computes in place
        begins, steps = "le_infer_in_place", "le_infer_step_in_place"
    if begins not in image.symbols:  # and that has the small link
        begins = "le_infer_small"
    try:
        begin, step, caller = (image.symbols[name] for name in (begins, steps, "infer"))
    except KeyError as error:
        raise BadInputError(f"{elf} has no function {error}; is it firmware of `lenet-edge build`?") from error
    return Count(begin.address, step.address, (caller.address, caller.address + caller.size), out)


def _start(board: Board, elf: Path, name: str, count: Count | None) -> tuple[ByteStream, Any]:
    """(the stream, a function that gives the counts so far, or the last so many of them)"""
    if name == "unicorn":
        from lenet_edge.hardware.emulators import unicorn

        emulation = unicorn.start(board, elf, count=count)
        return emulation, partial(_unicorn_counts, emulation.counts)
    counts = partial(read_counts, count.out) if count is not None else None
    if name == "qemu":
        from lenet_edge.hardware.emulators import qemu

        described = board.emulator.qemu
        assert described is not None
        system, machine, args, serial = described.system, described.machine, described.args, described.serial
        stream = qemu.start(system, machine, elf, args=args, serial=serial, count=count)
        return stream, counts
    from lenet_edge.hardware.emulators import simavr

    assert board.emulator.simavr is not None
    return simavr.start(board.emulator.simavr.mcu, elf, clock_hz=board.cpu.clock_hz, count=count), counts


def _unicorn_counts(units: list[list[int]], last: int | None) -> list[CallCount]:
    return [CallCount(tuple(each)) for each in (units if last is None else units[-last:])]
