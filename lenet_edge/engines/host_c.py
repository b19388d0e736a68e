"""The generated C on this machine: compiles the exported folder with the system's compiler and loads it."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge import children
from lenet_edge.errors import BadInputError, MissingToolError, ToolFailedError
from lenet_edge.files import temporary_folder
from lenet_edge.records import ExportedC, read_exported_c

__all__ = ["FAMILIES", "FAMILY", "compiled", "install_command", "layer_outputs", "run", "version"]

Int8Array: TypeAlias = npt.NDArray[np.int8]

_MACHINES = {"x86_64": "x86", "amd64": "x86", "aarch64": "neon", "arm64": "neon"}

FAMILIES = tuple(sorted({*_MACHINES.values()}))
"""The families of fast kernels that some machine has an engine for: ``host_c-FAMILY``."""

FAMILY = _MACHINES.get(platform.machine().lower(), "")
"""Of them the one whose kernels run here; empty where none do."""

_FLAGS = ("-std=c99", "-O2", "-shared", "-fPIC")
_COMPILE_S = 120  # time-out


def install_command() -> str:
    """What a user types to get a C compiler."""
    return "apt-get install gcc libc6-dev"


def version() -> str:
    """The first line of the compiler's ``--version``.

    Raises:
        MissingToolError: there is no C compiler.
    """
    return _compile([*_compiler(), "--version"]).stdout.partition("\n")[0].strip()


def run(folder: Path, images: Int8Array) -> Int8Array:
    """Run the exported C on the images.

    Args:
        folder: what ``export --target c`` wrote.
        images: int8 ``[n, h, w, c]``.

    Returns:
        int8 ``[n, classes]``.

    Raises:
        MissingToolError: there is no C compiler.
        BadInputError: the images are of another size than the model takes.
        ToolFailedError: the folder does not compile.
    """
    exported = read_exported_c(folder)
    images = np.ascontiguousarray(images, np.int8)
    _require_size(exported, images)
    logits = np.zeros((len(images), exported.outputs), np.int8)
    with compiled(folder) as library:
        for image, target in zip(images, logits, strict=True):
            library.le_infer(image.ctypes.data, target.ctypes.data)
    return logits


def layer_outputs(folder: Path, image: Int8Array) -> tuple[dict[str, Int8Array], Int8Array]:
    """One image ``[h, w, c]`` step by step: (int8 outputs by the name of the layer they are of, logits).

    A step whose output no layer of the model has is not among them. Raises what `run` raises.
    """
    exported = read_exported_c(folder)
    image = np.ascontiguousarray(image, np.int8)
    _require_size(exported, image[np.newaxis])
    logits = np.zeros(exported.outputs, np.int8)
    workspace = np.zeros(exported.workspace_bytes // 4, np.int32)
    shown = {}
    with compiled(folder) as library:
        for index, step in enumerate(exported.steps):
            count = ctypes.c_size_t()
            library.le_infer_step(workspace.ctypes.data, image.ctypes.data, logits.ctypes.data, index)
            place = library.le_step_output(workspace.ctypes.data, index, ctypes.byref(count))
            values = np.frombuffer(ctypes.string_at(place, count.value), np.int8) if place else logits
            if step.shows is not None:
                shown[step.shows] = values.copy()
    return shown, logits


def _require_size(exported: ExportedC, images: Int8Array) -> None:
    if images[0:1].size != exported.input_bytes and len(images):
        raise BadInputError(f"the C takes images of {exported.input_bytes} bytes, these have {images[0].size}")


def _compiler() -> list[str]:
    """``$CC``, or the first compiler that is there."""
    if named := os.environ.get("CC", "").strip():
        try:
            chosen = shlex.split(named)
        except ValueError:  # quotes that do not close
            chosen = [named]
        if shutil.which(chosen[0]) is None:
            raise MissingToolError(f"the compiler that CC names, {chosen[0]}, is not there")
        return chosen
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return [path]
    raise MissingToolError(f"there is no C compiler; {install_command()}")


def _tuning(family: str, compiler: list[str]) -> list[str]:
    """Fast kernels are compiled for this very machine, unless an option in CC says for which.

    They choose by what the compiler has switched on. Apple's has all that the first of its processors had, and
    not every version of it takes an option for more.
    """
    if family == "plain" or any(option.startswith("-m") for option in compiler[1:]):
        return []
    if family == "neon":
        return [] if platform.system() == "Darwin" else ["-mcpu=native"]
    return ["-march=native"]


def _compile(argv: list[str]) -> children.Done:
    try:
        return children.run(argv, timeout_s=_COMPILE_S)
    except subprocess.TimeoutExpired:
        raise ToolFailedError(f"{argv[0]} did not end within {_COMPILE_S} s") from None
    except OSError as error:
        raise ToolFailedError(f"the compiler {argv[0]} cannot be started: {error.strerror}") from error


@contextmanager
def compiled(folder: Path, extra: Sequence[Path] = ()) -> Iterator[ctypes.CDLL]:
    """The exported C as a shared library, which is gone afterwards.

    Args:
        folder: what ``export --target c`` wrote.
        extra: further C files that go into the library.

    Raises:
        MissingToolError, BadInputError, ToolFailedError: as `run`.
    """
    exported = read_exported_c(folder)
    compiler = _compiler()
    with temporary_folder() as temporary:
        path = temporary / "model.so"
        sources = sorted(str(folder.resolve() / name) for name in exported.files if re.fullmatch(r"\w+\.c", name))
        flags = [*_FLAGS, *_tuning(exported.family, compiler), f"-I{folder.resolve()}"]
        argv = [*compiler, *flags, "-o", str(path), *sources, *map(str, extra)]
        built = _compile(argv)
        if built.code != 0:
            raise ToolFailedError(f"{folder} does not compile: {built.stderr.strip()[-2000:]}")
        library = ctypes.CDLL(str(path))
        _take_prefix(library, folder, exported.name)
        pointer = ctypes.c_void_p
        library.le_infer.argtypes = [pointer, pointer]
        library.le_infer_step.argtypes = [pointer, pointer, pointer, ctypes.c_uint8]
        library.le_step_output.argtypes = [pointer, ctypes.c_uint8, ctypes.POINTER(ctypes.c_size_t)]
        library.le_step_output.restype = pointer
        yield library


def _take_prefix(library: ctypes.CDLL, folder: Path, prefix: str) -> None:
    """The functions of a model that was exported with a name, under the names that they have without one."""
    for name in ("infer", "infer_step", "step_output"):
        try:
            setattr(library, f"le_{name}", getattr(library, f"{prefix}_{name}"))
        except AttributeError:
            raise BadInputError(f"{folder} has no function {prefix}_{name}; export it again") from None
