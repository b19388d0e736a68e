"""Everything that runs an exported file: `ENGINES` by name, one module per runtime.

An engine gets the path of a file and int8 images and gives int8 logits; most
also expose the outputs of the layers in between. Importing this package imports no
runtime: each module does so when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.engines import board as board_engines
from lenet_edge.engines import host_c, litert, onnxruntime, pytorch, tensorflow, tflite_runtime, tflm
from lenet_edge.errors import MissingToolError
from lenet_edge.hardware.boards import Board
from lenet_edge.hardware.session import choose_emulator

__all__ = ["ENGINES", "Absent", "Artefact", "Engine", "board_engine"]

Int8Array: TypeAlias = npt.NDArray[np.int8]
Artefact: TypeAlias = Literal["tflite", "onnx", "onnx-qoperator", "weights", "c", "c-x86", "c-neon"]


@dataclass(frozen=True)
class Absent:
    """Why there is no file for an engine to run."""

    reason: str


@dataclass(frozen=True)
class Engine:
    """One way to run a model.

    Attributes:
        artefact: which exported file it takes; of a board ``firmware/NAME``.
        run: (path, int8 inputs ``[n, *shape]``) -> int8 outputs ``[n, outputs]``, whatever rank the file gives them.
        layer_outputs: (path, int8 image ``[h, w, c]``) -> (int8 outputs by layer name, logits of that run).
        version: the installed version; `MissingToolError` where there is none.
        install_command: what a user types to get it.
    """

    artefact: Artefact | str
    run: Callable[[Path, Int8Array], Int8Array]
    layer_outputs: Callable[[Path, Int8Array], tuple[dict[str, Int8Array], Int8Array]]
    version: Callable[[], str]
    install_command: Callable[[], str]


def _litert(kernels: litert.Kernels) -> Engine:
    run, look = partial(litert.run, kernels=kernels), partial(litert.layer_outputs, kernels=kernels)
    return Engine("tflite", run, look, litert.version, litert.install_command)


def _onnxruntime(artefact: Artefact, *, optimize: bool) -> Engine:
    run = partial(onnxruntime.run, optimize=optimize)
    look = partial(onnxruntime.layer_outputs, optimize=optimize)
    return Engine(artefact, run, look, onnxruntime.version, onnxruntime.install_command)


def _module(artefact: Artefact | str, module: object) -> Engine:
    names = ("run", "layer_outputs", "version", "install_command")
    return Engine(artefact, *(getattr(module, name) for name in names))


ENGINES: Mapping[str, Engine] = MappingProxyType(
    {
        "pytorch": _module("weights", pytorch),
        "host_c": _module("c", host_c),
        **({f"host_c-{host_c.FAMILY}": _module(f"c-{host_c.FAMILY}", host_c)} if host_c.FAMILY else {}),
        "tflm": _module("tflite", tflm),
        "litert-reference": _litert("reference"),
        "litert-builtin": _litert("builtin"),
        "litert-xnnpack": _litert("xnnpack"),
        "tf-lite": _module("tflite", tensorflow),
        "tflite-runtime": _module("tflite", tflite_runtime),
        "onnxruntime": _onnxruntime("onnx", optimize=True),
        "onnxruntime-unoptimized": _onnxruntime("onnx", optimize=False),
        "onnxruntime-qoperator": _onnxruntime("onnx-qoperator", optimize=True),
    }
)
"""The engines by name, in the order in which they are listed.

The C has two: the plain kernels, which are what boards run that have no faster
ones, and on a machine that runs them those of the family x86 or neon (`host_c.FAMILY`).
"""


def board_engine(board: Board, emulator: str = "auto", *, macs: int = 0) -> tuple[str, Engine]:
    """A board as an engine, with its name in the results: ``board:NAME/EMULATOR``.

    Args:
        emulator: "unicorn", "qemu", "simavr", or "auto": the first that is installed and has the board.
        macs: of an inference of the model that it will run (`session.macs_of`): a large one is waited for longer.

    Raises:
        BadInputError: the emulator does not have the board.
    """
    try:
        chosen = choose_emulator(board, emulator)
    except MissingToolError:
        chosen = emulator  # `version` will say so, and the engine is absent
    engine = Engine(
        f"firmware/{board.name}",
        partial(board_engines.run, board=board, emulator=chosen, macs=macs),
        board_engines.layer_outputs,
        partial(board_engines.version, board, chosen),
        partial(board_engines.install_command, board),
    )
    return f"board:{board.name}/{chosen}", engine
