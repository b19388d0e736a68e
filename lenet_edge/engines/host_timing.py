"""How long one inference takes on this machine: the exported C and LiteRT with XNNPACK, one thread, one image per call.

The C runs in a loop in C, so that Python's time is not in it. LiteRT's
wheel exports nothing of its interpreter that C could call; it is called from
Python, and the time it takes to invoke a model of one multiplication is
subtracted. That is Python's part and the interpreter's own, so XNNPACK
appears too fast, if anything, rather than too slow.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.engines import host_c, litert
from lenet_edge.errors import BadInputError, MissingToolError
from lenet_edge.records import read_exported_c
from lenet_edge.resources import firmware_folder

__all__ = ["Timing", "measure"]

Int8Array: TypeAlias = npt.NDArray[np.int8]

_TIMES = 10  # an image is run that often before the next one
_XNNPACK, _NOTHING = "xnnpack", "nothing"


@dataclass(frozen=True)
class Timing:
    """One inference of each contestant, in nanoseconds.

    Attributes:
        c: by the name of the folder that was given: the fastest round, and the median over the rounds.
        xnnpack: likewise, with what the invocation itself takes subtracted.
        invocation: what was subtracted: the fastest round, and the median.
        compiled_for: by the name of the folder: "AVX-512 VNNI", "AVX-VNNI", "AVX2", "SSE2", "NEON with dot
            product", "NEON" or "".
        logits: by the name of the folder: int8 ``[n, classes]``.
    """

    c: Mapping[str, tuple[float, float]]
    xnnpack: tuple[float, float]
    invocation: tuple[float, float]
    compiled_for: Mapping[str, str]
    logits: Mapping[str, Int8Array]


def measure(folders: Mapping[str, Path], model: Path, trivial: Path, images: Int8Array, *, rounds: int) -> Timing:
    """Time the contestants interleaved: in every round each runs all images.

    Args:
        folders: name -> what ``export --target c`` wrote.
        model: the same model as .tflite.
        trivial: a .tflite of one multiplication.
        images: int8 ``[n, h, w, c]``.
        rounds: how often.

    Raises:
        MissingToolError: there is no C compiler, or no LiteRT.
        BadInputError: XNNPACK does not take the model, or the images are of another size.
        ToolFailedError: a folder does not compile.
    """
    images = np.ascontiguousarray(images, np.int8)
    with ExitStack() as stack:
        programs = {name: stack.enter_context(_program(folder)) for name, folder in folders.items()}
        logits = {name: np.zeros((len(images), program.outputs), np.int8) for name, program in programs.items()}
        contestants: dict[str, Callable[[], float]] = {
            name: lambda program=program, name=name: program.time(images, logits[name])  # type: ignore[misc]
            for name, program in programs.items()
        }
        contestants[_XNNPACK] = _interpreter(model, images)
        contestants[_NOTHING] = _interpreter(trivial, np.zeros((len(images), 1, 1, 1), np.int8))
        found: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, run in contestants.items():
                found[name].append(run() / (_TIMES * len(images)))
        compiled_for = {name: program.compiled_for for name, program in programs.items()}
    best = {name: (min(times), median(times)) for name, times in found.items()}
    net, gross = best[_NOTHING], best[_XNNPACK]
    return Timing(
        c={name: best[name] for name in folders},
        xnnpack=(gross[0] - net[0], gross[1] - net[1]),
        invocation=net,
        compiled_for=compiled_for,
        logits=logits,
    )


# --- the C ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Program:
    library: ctypes.CDLL
    outputs: int
    compiled_for: str

    def time(self, images: Int8Array, logits: Int8Array) -> float:
        started = time.perf_counter_ns()
        self.library.le_repeat(images.ctypes.data, len(images), _TIMES, logits.ctypes.data)
        return time.perf_counter_ns() - started


@contextmanager
def _program(folder: Path) -> Iterator[_Program]:
    with host_c.compiled(folder, [firmware_folder() / "host" / "le_repeat.c"]) as library:
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        library.le_repeat.argtypes = [pointer, size, size, pointer]
        library.le_compiled_for.restype = ctypes.c_char_p
        yield _Program(library, read_exported_c(folder).outputs, library.le_compiled_for().decode())


# --- LiteRT ---------------------------------------------------------------------------------------


def _interpreter(path: Path, images: Int8Array) -> Callable[[], float]:
    """A function that runs all images and gives the nanoseconds of its invocations, without those of copying images."""
    from lenet_edge.engines import tflite_worker

    try:
        runner = tflite_worker.TfLite("ai_edge_litert", str(path), "xnnpack", False)
        tflite_worker.require_shape(runner.inputs, images)
    except ImportError:
        raise MissingToolError(f"LiteRT is not installed. Install with: {litert.install_command()}") from None
    except (tflite_worker.BadInputError, tflite_worker.NothingToRunError, ValueError, RuntimeError) as error:
        raise BadInputError(f"{path} in LiteRT: {error}") from error
    interpreter = runner.interpreter

    def run() -> float:
        nanoseconds = 0
        for image in images:
            for end, tensor in zip(runner.inputs, tflite_worker.encoded(runner.inputs, image), strict=True):
                interpreter.set_tensor(end.index, tensor)
            started = time.perf_counter_ns()
            for _ in range(_TIMES):
                interpreter.invoke()
            nanoseconds += time.perf_counter_ns() - started
        return nanoseconds

    return run
