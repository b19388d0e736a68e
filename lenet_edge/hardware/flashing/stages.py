"""The stages of flashing, each with its own failure: identify, write, verify, start, self-test, inference."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError, LinkError
from lenet_edge.files import read_bytes, temporary_folder
from lenet_edge.hardware.elf import to_binary, to_elf, to_hex
from lenet_edge.hardware.emulators import qemu
from lenet_edge.hardware.flashing.flashers import COPIES, EMULATOR, GDB_SOCKET, Commands, Job, commands, read_back_name
from lenet_edge.hardware.flashing.programs import copy_to_volume, identify_volume, run_program
from lenet_edge.hardware.link import ByteStream, Device, Hello
from lenet_edge.hardware.session import inference_s, macs_of, self_test_s, sizes_of
from lenet_edge.hardware.uf2 import to_uf2
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.reference import run as emulate
from lenet_edge.records import FlashResult, FlashStage

__all__ = ["Flashed", "flash"]

Say: TypeAlias = Callable[[str], None]
Int8Array: TypeAlias = npt.NDArray[np.int8]

_SOCKET_S = 10.0  # until QEMU listens
_BANNER_S = 30.0  # reset, self-test and banner; a slow AVR takes 10 s
_QUIET_BANNER_S = 15.0  # where a board may have printed it before its port was open
_REPLY_S = 30.0

# Processor -> the part number in the register CPUID, bits 15 to 4. Source: each core's Technical Reference Manual.
_PART_NUMBERS = {
    "cortex-m0": 0xC20,
    "cortex-m0plus": 0xC60,
    "cortex-m3": 0xC23,
    "cortex-m4": 0xC24,
    "cortex-m7": 0xC27,
    "cortex-m23": 0xD20,
    "cortex-m33": 0xD21,
    "cortex-m55": 0xD22,
}


@dataclass(frozen=True)
class Flashed:
    """A board that runs the firmware and gave every logit right.

    Attributes:
        hello: what it said of itself behind the last image.
        banner: what it printed when it started; "" where it had done so before its port was open.
        images: that it was asked about.
    """

    stages: tuple[FlashStage, ...]
    hello: Hello
    banner: str
    images: int

    def result(self, stack_proved_bytes: int | None, stack_problem: str | None) -> FlashResult:
        """What is recorded of it, with what is proved of the firmware's stack."""
        differ = 0  # anything else is an error of the last stage
        used = self.hello.stack_used
        return FlashResult(self.stages, self.banner, self.images, differ, used, stack_proved_bytes, stack_problem)


@dataclass
class _Run:
    """One flashing, as far as it has come."""

    job: Job
    folder: Path
    timeout_s: float
    say: Say
    macs: int
    stages: list[FlashStage] = field(default_factory=list)

    def stage(self, name: str, work: Callable[[], str]) -> None:
        """Do the work of a stage; a link that fails in it is that stage's failure."""
        started = time.perf_counter()
        try:
            found = work()
        except LinkError as error:
            raise LinkError(f"{name}: {error}") from error
        self.stages.append(FlashStage(name, found, time.perf_counter() - started))
        self.say(f"  {name}: {found}")

    def tool(self, argv: tuple[str, ...]) -> str:
        return run_program(argv, self.folder, self.timeout_s)


def flash(
    job: Job,
    model: QuantizedModel,
    images: Int8Array,
    *,
    volume: Path | None = None,
    open_port: Callable[[], ByteStream] | None = None,
    timeout_s: float = 120.0,
    say: Say = lambda _: None,
) -> Flashed:
    """Write the firmware, prove that it is there, that it runs, and that it computes the model's integers.

    Args:
        job: for the emulator without `probe`, one is started, and its UART is the link.
        images: int8 ``[n, h, w, c]``, whose every logit is compared with the reference's.
        volume: the boot loader's, where the tool is a copy.
        open_port: opens the board's serial port.
        timeout_s: for each run of the tool.
        say: called with each stage that passed.

    Raises:
        LinkError: a stage failed; the message begins with its name.
        MissingToolError: the tool is not installed.
    """
    with temporary_folder() as folder, ExitStack() as closing:
        running = _Run(job, folder, timeout_s, say, macs_of(model))
        _write_files(running.folder, job)
        stream = None
        if job.tool == EMULATOR and job.probe is None:
            running.job, stream = _start_emulator(job, running.folder)
            closing.callback(stream.close)
        elif job.tool in COPIES:  # the board starts as soon as it has the file: an open port misses no banner
            stream = _open(open_port, closing)
        _write(running, volume)
        device, banner = _start(running, stream, open_port, closing)
        hellos: list[Hello] = []
        running.stage("self-test", lambda: _self_test(device, job, model))
        running.stage("inference", lambda: _inference(device, model, images, hellos))
        return Flashed(tuple(running.stages), hellos[0], banner, len(images))


def _write_files(folder: Path, job: Job) -> None:
    """The files that tools take, all from the image that passed the gate: the ELF that it was in may hold more."""
    (folder / "firmware.elf").write_bytes(to_elf(job.image))
    (folder / "firmware.hex").write_text(to_hex(job.image))
    (folder / "firmware.bin").write_bytes(to_binary(job.image))
    if job.board.flash_tool is not None and job.board.flash_tool.uf2_family is not None:
        (folder / "firmware.uf2").write_bytes(to_uf2(job.image, job.board.flash_tool.uf2_family))


def _start_emulator(job: Job, folder: Path) -> tuple[Job, ByteStream]:
    described = job.board.emulator.qemu
    assert described is not None
    stream = qemu.start_empty(
        described.system, described.machine, folder / GDB_SOCKET, args=described.args, serial=described.serial
    )
    deadline = time.monotonic() + _SOCKET_S
    while not (folder / GDB_SOCKET).exists():
        if time.monotonic() > deadline:
            stream.close()
            raise LinkError(f"QEMU opened no GDB port within {_SOCKET_S:g} s. {stream.last_words()}".rstrip())
        time.sleep(0.02)
    return Job(job.board, job.tool, job.target, job.image, probe=GDB_SOCKET), stream


# --- identify, write, verify ------------------------------------------------------------------------


def _write(running: _Run, volume: Path | None) -> None:
    if running.job.tool in COPIES:
        if volume is None:
            raise BadInputError("the volume of the board's boot loader is not known; name it with --volume")
        source, board = running.folder / COPIES[running.job.tool], running.job.board
        running.stage(
            "write", lambda: f"{identify_volume(source.suffix, volume, board)}: {copy_to_volume(source, volume)}"
        )
        return
    used = commands(running.job)
    if used.identify:
        running.stage("identify", lambda: _identify(running, running.tool(used.identify)))
    running.stage("write", lambda: _written(running, used.write, used.written))
    running.stage("verify", lambda: _verify(running, used))


def _identify(running: _Run, said: str) -> str:
    """The processor that GDB found; of a RISC-V it knows no more than that it is one."""
    core = running.job.board.cpu.core
    wanted = _PART_NUMBERS.get(core)
    if wanted is None:
        return core
    values = [int(word, 16) for word in said.split() if word.startswith("0x") and len(word) == 10 and "4" in word[2]]
    numbers = [value >> 4 & 0xFFF for value in values]
    if wanted in numbers:
        return f"{core} (CPUID {values[numbers.index(wanted)]:#010x})"
    others = [name for name, number in _PART_NUMBERS.items() if number in numbers]
    there = f"a {others[0]}" if others else "another processor"
    raise LinkError(
        f"{there} is there, and {running.job.board.name} has a {core}: is this the right board? Nothing was written"
    )


def _written(running: _Run, argv: tuple[str, ...], marker: str) -> str:
    """The image is in the board, as far as the tool says so."""
    again = "the board may hold a part of the firmware; run `lenet-edge flash` again"
    try:
        said = running.tool(argv)
    except LinkError as error:
        raise LinkError(f"the writing was interrupted: {error}. {again.capitalize()}") from error
    if marker not in said:
        raise LinkError(f"the writing was interrupted: {_last_lines(said)}. {again.capitalize()}")
    return f"{running.job.image.flash_bytes:,} bytes by {argv[0]}"


def _last_lines(said: str, count: int = 3) -> str:
    return " / ".join([line.strip() for line in said.splitlines() if line.strip()][-count:])


def _verify(running: _Run, used: Commands) -> str:
    """What the flash holds is the image; the first byte that is not is named."""
    argv = used.verify
    said = running.tool(argv)
    if used.verified not in said:
        raise LinkError(f"{argv[0]} did not find the firmware there: {_last_lines(said)}. Run `lenet-edge flash` again")
    if not used.reads_back:
        return f"compared by {argv[0]}"
    for number, part in enumerate(running.job.image.segments):
        path = running.folder / read_back_name(number)
        found = read_bytes(path, f"what {argv[0]} read back,") if path.exists() else b""
        if len(found) != len(part.content):
            raise LinkError(
                f"{argv[0]} read back {len(found):,} of {len(part.content):,} bytes: {_last_lines(said)}. "
                "Run `lenet-edge flash` again"
            )
        differ = np.flatnonzero(np.frombuffer(found, np.uint8) != np.frombuffer(part.content, np.uint8))
        if differ.size:
            at = int(differ[0])
            raise LinkError(
                f"{differ.size:,} bytes of the flash are wrong, the first at {part.address + at:#010x}: "
                f"{found[at]:#04x} instead of {part.content[at]:#04x}. Run `lenet-edge flash` again; if this persists, "
                "the flash is worn or protected"
            )
    return f"{running.job.image.flash_bytes:,} bytes read back, all as written"


# --- start, self-test, inference --------------------------------------------------------------------


def _start(
    running: _Run,
    stream: ByteStream | None,
    open_port: Callable[[], ByteStream] | None,
    closing: ExitStack,
) -> tuple[Device, str]:
    """The running board and its banner.

    The port is opened before the reset, so that the banner is not missed; where
    writing itself resets the board it may be, and then HELLO says the same.
    """
    reset = () if running.job.tool in COPIES else commands(running.job).reset
    if stream is None:
        stream = _open(open_port, closing)
    board, emulator = running.job.board, "qemu" if running.job.tool == EMULATOR else None
    device = Device(stream, (_BANNER_S if reset else _QUIET_BANNER_S) + self_test_s(board, running.macs, emulator))
    banners: list[str] = []

    def start() -> str:
        if reset:
            running.tool(reset)
        try:
            banners.append(device.banner() if board.link == "full" else device.ready())
        except LinkError:
            if reset:
                raise
            banners.append("")
        device.timeout_s = _REPLY_S + inference_s(board, running.macs, emulator)
        return banners[0].strip().splitlines()[0] if banners[0].strip() else "no banner; it may have come earlier"

    running.stage("start", start)
    return device, banners[0]


def _open(open_port: Callable[[], ByteStream] | None, closing: ExitStack) -> ByteStream:
    if open_port is None:
        raise BadInputError("the board's serial port is not known; name it with --port")
    stream = open_port()
    closing.callback(stream.close)
    return stream


def _self_test(device: Device, job: Job, model: QuantizedModel) -> str:
    hello = device.hello()
    device.expect(hello, job.board.name, model.fingerprint, sizes_of(model), argument=job.board.argument)
    return f"passed; board {hello.board}, model {hello.fingerprint[:16]}"


def _inference(device: Device, model: QuantizedModel, images: Int8Array, hellos: list[Hello]) -> str:
    logits = device.infer_all(images)
    expected = emulate(model, images)
    differ = logits != expected
    if differ.any():
        image, logit = (int(index) for index in np.argwhere(differ)[0])
        raise LinkError(
            f"{int(differ.sum())} of {differ.size:,} logits differ from the reference, the first of image "
            f"{image}, logit {logit}: {logits[image, logit]} instead of {expected[image, logit]}. Do not use this board"
        )
    hellos.append(device.hello())
    return f"{len(images):,} images, 0 of {differ.size:,} logits differ"
