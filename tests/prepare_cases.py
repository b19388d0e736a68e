"""Random frames and settings for le_prepare: packed as prepare_cases.c reads them, and what numpy makes of them."""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.preparation import BlankFrameError, Preparation, int8_values, prepare
from lenet_edge.preparation.frames import FORMATS, decode, row_bytes
from lenet_edge.resources import firmware_folder

PROGRAM = Path(__file__).with_suffix(".c")
KERNELS = [
    firmware_folder() / "kernels" / "prepare" / name
    for name in ("le_prepare.h", "le_prepare_steps.h", "le_prepare.c", "le_prepare_centre.c")
] + [firmware_folder() / "kernels" / "shared" / "le_kernels.h"]
MODEL_HEADER = """\
#include "le_kernels.h"
#define LE_INPUT_BYTES 12288
#define LE_CLASSES 10
int le_infer(const int8_t *image, int8_t *logits);
"""
PREPARATION_HEADER = """\
#include "le_model.h"
#define LE_PREPARE_CENTRED 1
#define LE_PREPARE_SUMS {sums}
"""
MOST_SUMS = 3 * 4096  # of the largest image
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Wno-overlength-strings", "-Werror")
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
OK, CROP, BLANK = 0, -2, -3
CROPS = {"none": 0, "square": 1}
INVERSIONS = ("never", "always", "bright border")
SCALE = float(np.float32(1 / 255))


@cache
def cached_values(low, high, scale, zero_point):
    """`int8_values`, which takes a millisecond or two."""
    return int8_values(Preparation(1, 1, low=low, high=high), scale, zero_point)


@dataclass(frozen=True)
class Case:
    preparation: Preparation
    scale: float
    zero_point: int
    width: int
    height: int
    form: str
    data: bytes
    padding: int = 0  # bytes between two rows in memory

    def packed(self) -> bytes:
        given, box = self.preparation, self.preparation.crop
        values = cached_values(given.low, given.high, self.scale, self.zero_point)
        identity = (values == np.arange(256) - 128).all()
        data = self._in_memory()
        head = struct.pack(
            "<HH4B4HHHBBHI",
            given.width, given.height, given.channels, CROPS.get(box, 2) if isinstance(box, str) else 2,
            INVERSIONS.index(given.invert), given.centred, *(box if isinstance(box, tuple) else (0, 0, 0, 0)),
            self.width, self.height, FORMATS.index(self.form), not identity, self.padding, len(data),
        )  # fmt: skip
        return head + (b"" if identity else values.tobytes()) + data

    def _in_memory(self) -> bytes:
        """The rows with what lies between them; behind the last there is nothing."""
        if self.padding == 0:
            return self.data
        rows = np.frombuffer(self.data, np.uint8).reshape(self.height, -1)
        padded = np.pad(rows, ((0, 0), (0, self.padding)), constant_values=0xA5)
        return padded.tobytes()[: -self.padding]

    def expected(self) -> bytes:
        """The status and the image, by numpy."""
        frame = decode(self.data, self.form, self.width, self.height, self.preparation.channels)
        try:
            image = prepare(frame, self.preparation)
        except BlankFrameError:
            return struct.pack("b", BLANK)
        except BadInputError:
            return struct.pack("b", CROP)
        values = cached_values(self.preparation.low, self.preparation.high, self.scale, self.zero_point)
        return struct.pack("b", OK) + values.view(np.uint8)[image].tobytes()


def random_case(random: np.random.Generator) -> Case:
    width, height = map(int, _sides(random))
    form = FORMATS[random.integers(len(FORMATS))]
    preparation = _settings(random, width, height)
    ranged = random.random() < 0.2
    scale, zero_point = (float(np.float32(random.uniform(0.002, 0.05))), int(random.integers(-128, 128)))
    data = _content(random, row_bytes(form, width), height)
    return Case(preparation, *((scale, zero_point) if ranged else (SCALE, -128)), width, height, form, data)


def _sides(random):
    kind = random.random()
    if kind < 0.08:  # thin
        return random.permutation([1, random.integers(1, 300)])
    if kind < 0.12:  # large
        return random.integers(40, 130, 2)
    return random.integers(1, 25, 2)


def _settings(random, width, height):
    centred = bool(random.random() < 0.4)
    sides = map(int, random.integers(1, 33 if random.random() < 0.2 else 14, 2))
    if random.random() < 0.15:
        sides = (height, width) if max(height, width) <= 33 else sides  # a frame of the image's size
    elif centred and random.random() < 0.4:
        sides = (28, 28)
    crop = "none" if random.random() < 0.5 else "square"
    if random.random() < 0.2:
        left, top = int(random.integers(width)), int(random.integers(height))
        beyond = int(random.random() < 0.1)
        crop = (left, top, int(random.integers(1, width - left + 1)) + beyond,
                int(random.integers(1, height - top + 1)))  # fmt: skip
    channels = 1 if centred else int(random.choice([1, 3]))
    invert = INVERSIONS[random.integers(3)]
    low, high = [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (1.0, 0.0)][random.integers(4) if random.random() < 0.2 else 0]
    return Preparation(*sides, channels, crop, invert, centred, low, high)


def _content(random, columns, rows):
    """Bytes of noise, of two levels, of a bar on a background, or of nearly one shade."""
    kind, shape = random.integers(5), (rows, columns)
    if kind == 0:
        return random.integers(0, 256, shape).astype(np.uint8).tobytes()
    if kind == 1:
        return random.choice(random.integers(0, 256, 2), shape).astype(np.uint8).tobytes()
    if kind == 2:
        return (random.integers(0, 250) + random.integers(0, random.integers(2, 13), shape)).astype(np.uint8).tobytes()
    paper, ink = random.integers(0, 256, 2)
    sheet = np.full(shape, paper)
    top, left = random.integers(rows), random.integers(columns)
    sheet[top : top + random.integers(1, rows + 1), left : left + random.integers(1, columns + 1)] = ink
    return (sheet + random.integers(-4, 5, shape) * (kind == 3)).clip(0, 255).astype(np.uint8).tobytes()


@cache
def random_cases(count: int, seed: int = 0) -> tuple[list[Case], list[bytes]]:
    """Cases, and the result that each must have."""
    random = np.random.default_rng(seed)
    cases = [random_case(random) for _ in range(count)]
    return cases, [case.expected() for case in cases]


def sources(folder: Path, sums: int = 768) -> list[str]:
    """Writes all that is compiled into a folder, and returns the names of the C files.

    Args:
        sums: values of the longest row of an image.
    """
    for path in (*KERNELS, PROGRAM):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "le_model.h").write_text(MODEL_HEADER)
    (folder / "le_preparation.h").write_text(PREPARATION_HEADER.format(sums=sums))
    return [path.name for path in (*KERNELS, PROGRAM) if path.suffix == ".c"]


def host_program(folder: Path, *flags: str, compiler: str = "gcc", sums: int = 768) -> Path:
    """The program for this machine."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is missing")
    argv = [compiler, *STRICT, *flags, "-DLE_CASES_ON_HOST", *sources(folder, sums), "-o", "cases"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / "cases"


def results(program: Path, cases: list[Case], expected: list[bytes]) -> bytes:
    """What the program gives for the cases; it must not write more than is expected."""
    data = b"".join(case.packed() for case in cases)
    sizes = map(str, (len(cases), len(data), sum(map(len, expected))))
    done = subprocess.run([program, *sizes], input=data, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout


def first_difference(cases: list[Case], expected: list[bytes], found: bytes) -> str:
    """The first case whose result is not what it must be; empty where all are."""
    at = 0
    for number, (case, wanted) in enumerate(zip(cases, expected, strict=True)):
        got = found[at : at + len(wanted)]
        if got != wanted:
            return f"case {number}: {case.preparation}, {case.width}x{case.height} {case.form}: {got!r}, not {wanted!r}"
        at += len(wanted)
    return "" if at == len(found) else f"{len(found) - at} bytes too many"
