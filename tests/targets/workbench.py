"""Models, images and the command line for the tests of boards; what is left of emulators afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any, TypeAlias

import check_records
import idx_files
import numpy as np
import numpy.typing as npt
import pytest
import sample_models

from lenet_edge.errors import LinkError
from lenet_edge.files import to_json, write_file
from lenet_edge.formats.c_source import weight_bytes
from lenet_edge.hardware import boards, session, tools
from lenet_edge.hardware.elf import Elf
from lenet_edge.hardware.firmware import Firmware
from lenet_edge.hardware.link import Device
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.reference import run

Int8Array: TypeAlias = npt.NDArray[np.int8]

LENET5 = sample_models.lenet5(51)
OTHER = sample_models.lenet5(52)
_TAG = "LENET_EDGE_TEST"
ENGINES = ("tflm", "litert-reference")


def need(board: str, toolchain: str | None = None, emulator: str | None = None) -> None:
    """Skip the test where what builds or runs the board is not installed, and name it."""
    described = boards.load(board)
    wanted = [("build", toolchain, tools.can_build(described)), ("emulate", emulator, tools.can_emulate(described))]
    for what, name, here in wanted:
        if name is not None and name not in here:
            lacking = [f"{tool.name} ({tool.install})" for tool in tools.needed(described, what) if not tool.found]
            pytest.skip(f"{board} with {name}: missing {', '.join(lacking)}")


def holders() -> tuple[str, ...]:
    """The boards whose flash holds the weights of `LENET5`."""
    return tuple(name for name in boards.board_names() if boards.load(name).flash.size_bytes > weight_bytes(LENET5))


def alike(board: str) -> str:
    """The first of the boards for which GCC compiles the same kernels: their logits and counts are the same."""
    flags = boards.load(board).toolchain.gcc
    return next(name for name in holders() if boards.load(name).toolchain.gcc == flags)


def combinations() -> list[tuple[str, str, str]]:
    """(board, toolchain, emulator), all that the TOMLs of these boards name."""
    found = []
    for name in holders():
        board = boards.load(name)
        for toolchain in ("gcc", "zig"):
            for emulator in ("unicorn", "qemu", "simavr"):
                if getattr(board.toolchain, toolchain) and getattr(board.emulator, emulator):
                    found.append((name, toolchain, emulator))
    return found


def images(model: QuantizedModel, count: int, seed: int = 0) -> Int8Array:
    """Images int8 ``[count, ...]`` in turn noise, extremes, sparse, strokes, one grey, all-0 or all-255."""
    random = np.random.default_rng(seed)
    shape = (count, *model.input.shape)
    pixels = random.integers(0, 256, shape)
    pixels[1::6] = random.choice([0, 255], pixels[1::6].shape)
    pixels[2::6] *= random.random(pixels[2::6].shape) < 0.1
    for image in pixels[3::6]:  # as a digit: bright lines on black
        image[:] = 0
        for _ in range(3):
            image[random.integers(shape[1])] = random.integers(128, 256)
            if image.ndim > 1:  # not values in a row
                image[:, random.integers(shape[2])] = random.integers(128, 256)
    pixels[4::6] = random.integers(0, 256, pixels[4::6].shape[:1] + (1,) * len(model.input.shape))
    pixels[5::6] = 0
    pixels[11::12] = 255
    return (pixels - 128).astype(np.int8)


def reference(model: QuantizedModel, batch: Int8Array) -> Int8Array:
    """The logits by the reference."""
    return run(model, batch)


def data_folder(folder: Path, count: int, seed: int = 0) -> Path:
    """A data set with `count` test images, as `--data` takes it."""
    return idx_files.write_folder(folder, idx_files.small_arrays(4, count, seed))


def policy(count: int, seed: int = 0) -> str:
    """A policy that asks for images of `data_folder` of that size: 8, or as many as there are."""
    sha256 = check_records.data_sha256(*idx_files.small_arrays(4, count, seed)[2:])
    engines = 'engines = ["tflm", "litert-reference"]\nfloat_comparison = false\n'
    images = min(8, count)
    return f'{engines}images = {images}\nboard_images = {images}\ndata = "{sha256}"\n'


def record(cli: Cli, built: Firmware, count: int = 25, **changes: object) -> None:
    """A record of `check` on 8 images, or all, of `data_folder` of `count`, as if made for the firmware `built`.

    The real one is made by the test of the real one.
    """
    image = Elf(built.elf.read_bytes()).sha256
    content = check_records.record(built.fingerprint, built.board, image, images=min(8, count))
    content["engines"] = [{**engine, "accuracy": None} for engine in content["engines"]]
    content |= dict.fromkeys(("float_accuracy", "float_sha256", "int8_accuracy", "drop_points", "confusion"))
    sha256 = check_records.data_sha256(*idx_files.small_arrays(4, count, 0)[2:])
    content |= {"data": "data", "data_sha256": sha256, "data_images": count}
    write_file(cli.folder / "build" / "check.json", to_json(content | changes).encode())


def file_offset(elf: bytes, address: int) -> int:
    """Where in the file the byte of an address in flash is."""
    from io import BytesIO

    from elftools.elf.elffile import ELFFile

    for part in ELFFile(BytesIO(elf)).iter_segments():
        start = part["p_paddr"]
        if part["p_type"] == "PT_LOAD" and start <= address < start + part["p_filesz"]:
            return int(part["p_offset"] + address - start)
    raise AssertionError(f"no segment has {address:#x}")


def patched(elf: Path, target: Path, symbol: str, code: bytes, offset: int = 0) -> int:
    """Copy the firmware with other bytes in a function or table; the address of these."""
    content = bytearray(elf.read_bytes())
    address = Elf(bytes(content)).symbols[symbol].address + offset
    at = file_offset(bytes(content), address)
    content[at : at + len(code)] = code
    target.write_bytes(content)
    return address


# --- processes ------------------------------------------------------------------------------------


class Cli:
    """`lenet-edge` in its own process, in one folder; every process that descends from it can be found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = folder / "model.tflite"
        self._tag = uuid.uuid4().hex

    def start(self, *arguments: object, environment: dict[str, str] | None = None, **options: Any) -> subprocess.Popen:
        settings = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {}), _TAG: self._tag}
        argv = [
            options.pop("python", sys.executable),
            *options.pop("first", ("-m", "lenet_edge")),
            *map(str, arguments),
        ]
        pipe = subprocess.PIPE
        options = {"cwd": self.folder, "text": True, "stdout": pipe, "stderr": pipe, **options}
        return subprocess.Popen(argv, env=settings, **options)

    def __call__(self, *arguments: object, timeout_s: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, **options) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout_s)
            finally:
                process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def processes(self, name: str = "") -> list[int]:
        """The running descendants whose program's name begins so."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and f"{_TAG}={self._tag}".encode() in (entry / "environ").read_bytes():
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    if state != "Z" and (entry / "comm").read_text().startswith(name):
                        found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return found

    def await_process(self, name: str, timeout_s: float = 60) -> int:
        """The first descendant of that name, once there is one."""
        deadline = time.monotonic() + timeout_s
        while not (found := self.processes(name)):
            assert time.monotonic() < deadline, f"no {name} was started"
            time.sleep(0.02)
        return found[0]

    def end(self) -> None:
        """Nothing may be left."""
        deadline = time.monotonic() + 3  # for what is ending
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left, [Path(f"/proc/{pid}/cmdline").read_text() for pid in left]


def refused(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    """It ended with that code and a message on stderr that has these parts: no traceback, nothing on stdout."""
    assert done.returncode == code, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert [part for part in parts if part not in done.stderr] == [], done.stderr


@contextlib.contextmanager
def raw(board, elf, emulator):
    """A device with no questions asked yet: what `session.connect` does before it judges."""
    need(board, None, emulator)
    stream, _ = session._start(boards.load(board), elf, emulator, None)
    try:
        yield Device(stream, 60.0)
    finally:
        stream.close()


def exit_status(stream, timeout_s=20):
    """The status with which the firmware ended its emulator."""
    if hasattr(stream, "wait"):
        return stream.wait(timeout_s)
    with contextlib.suppress(LinkError):
        while stream.exit_status is None:
            stream.read(timeout_s)
    return stream.exit_status


def is_running(pid):
    """Whether a process is there and not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def need_programs(*tools):
    """Skip the test where one of them is not installed."""
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


def receive(stream, size, timeout_s=20.0):
    """Exactly `size` bytes, or what there was in time."""
    data, deadline = b"", time.monotonic() + timeout_s
    while len(data) < size and time.monotonic() < deadline:
        data += stream.read(0.5)
    return data
