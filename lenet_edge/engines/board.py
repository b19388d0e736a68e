"""A board as an engine: its whole firmware in an emulator, every image over its UART."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge import children
from lenet_edge.engines import worker
from lenet_edge.errors import BadInputError, LinkError, MissingToolError
from lenet_edge.files import read_bytes, temporary_folder
from lenet_edge.hardware import boards, firmware, session, tools
from lenet_edge.hardware.boards import Board

__all__ = ["install_command", "layer_outputs", "run", "version"]

Int8Array: TypeAlias = npt.NDArray[np.int8]

_ENOUGH = 100  # images that are worth starting another emulator for
_START_S, _IMAGE_S = 400.0, 1.0  # time-out: a slow self-test, and a generous inference of a small model
_ERRORS: dict[int, Callable[[str], Exception]] = {3: BadInputError, 4: MissingToolError}


def run(folder: Path, images: Int8Array, *, board: Board, emulator: str, macs: int = 0) -> Int8Array:
    """Run the images through the firmware of `folder`, in several emulators at once where there are many.

    The ELF is read once: all emulators run from one private copy of it. Each reads the board's TOML itself, and ends
    where that is not `board` any more.

    Args:
        folder: what ``lenet-edge build`` wrote.
        images: int8 ``[n, h, w, c]``.
        emulator: "unicorn", "qemu" or "simavr".
        macs: of an inference: a large model is waited for longer.

    Returns:
        int8 ``[n, classes]``.

    Raises:
        BadInputError: there is no firmware, its ELF is not for this board, or the board's TOML changed in the meantime.
        LinkError: the board did not answer, or with another model.
        MissingToolError: the emulator is not installed.
    """
    # QEMU spends most of its time waiting for bytes, the others compute.
    at_once = (os.cpu_count() or 1) * (2 if emulator == "qemu" else 1)
    parts = np.array_split(images, max(1, min(at_once, len(images) // _ENOUGH)))
    built = firmware.load(folder, board.argument)
    with temporary_folder() as private, ThreadPoolExecutor(len(parts)) as pool:
        elf = private / "firmware.elf"
        elf.write_bytes(read_bytes(built.elf, "the firmware", "`lenet-edge build` makes it."))
        job = (str(board.path), boards.digest(board), str(elf), built.fingerprint, emulator, str(macs))
        image_s = _IMAGE_S + session.inference_s(board, macs, emulator)
        run_part = partial(_run_part, job, _START_S + session.self_test_s(board, macs, emulator), image_s)
        return np.concatenate(list(pool.map(run_part, parts)))


def _run_part(job: tuple[str, ...], start_s: float, image_s: float, images: Int8Array) -> Int8Array:
    with temporary_folder() as temporary:
        source, target = temporary / "images.npy", temporary / "logits.npy"
        np.save(source, images)
        argv = children.python_module("lenet_edge.engines.board_worker", *job, str(source), str(target))
        code, said = worker.run_process(argv, start_s + image_s * len(images))
        if code != 0:
            raise _ERRORS.get(code, LinkError)(said or f"the worker ended with status {code}")
        logits: Int8Array = np.load(target, allow_pickle=False)
        return logits


def version(board: Board, emulator: str) -> str:
    """The emulator that will run, with its version where it is a program or package of that name.

    Raises:
        MissingToolError, BadInputError: see `session.choose_emulator`.
    """
    name = session.choose_emulator(board, emulator)
    programs = [tool.name for tool in tools.needed(board, "emulate") if name in tool.name]
    found = tools.find(programs[0], ask_version=True) if programs else None
    return (found.version if found is not None else None) or name


def install_command(board: Board) -> str:
    """What a user types to get an emulator of the board."""
    return "; or ".join(tool.install for tool in tools.needed(board, "emulate") if not tool.found)


def layer_outputs(_folder: Path, _image: Int8Array, **_: Any) -> tuple[dict[str, Int8Array], Int8Array]:
    """Raises `LinkError`: the protocol has no request for a layer's output; `host_c` runs the same C and shows it."""
    raise LinkError("the firmware does not show its layers; `--engine host_c` runs the same C and does")
