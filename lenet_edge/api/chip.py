"""An int8 model on a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lenet_edge.api.files import INT8_MODEL
from lenet_edge.api.results import Answer, Ran
from lenet_edge.cli.from_python import call
from lenet_edge.errors import CheckFailedError

if TYPE_CHECKING:
    from lenet_edge.hardware.firmware import Firmware

__all__ = ["build", "run"]


def build(
    board: str | Path,
    model: str | Path = INT8_MODEL,
    *,
    toolchain: Literal["auto", "gcc", "zig"] = "auto",
    optimize: Literal["speed", "size"] = "speed",
    weight_packing: str = "auto",
    like: Literal["tflm", "onnxruntime", "litert-xnnpack"] = "tflm",
    frames: str | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
) -> Firmware:
    """Build the firmware of a board: `lenet-edge build`.

    Args:
        board: its name, or the path of a TOML.
        model: an int8 .tflite.
        toolchain: the compiler; "auto" takes GCC if it is installed, else zig.
        optimize: "speed" takes the kernels for the instruction set, "size" the plain ones.
        weight_packing: "auto" packs weights of a few bits if the firmware does not fit otherwise; or "8", "4", "2",
            "trits", or by layer, "C5=trits,F6=4".
        like: the runtime whose integers it computes, where the model is not tie-free.
        frames: take camera frames over the link, such as "320x240/rgb565".
        out: the folder, ``build/firmware/BOARD`` if None.

    Returns:
        The folder, what built it, and its sizes.

    Raises:
        CheckFailedError: it does not fit the board.
        BadInputError: there is no such board, the model cannot be read, or an argument makes no sense.
        MissingToolError: there is no compiler for it.
    """
    given = locals()
    firmware: Firmware = call("build", **given)
    return firmware


def run(
    board: str | Path,
    model: str | Path = INT8_MODEL,
    *,
    data: str | Path = "mnist",
    images: int = 10,
    picture: str | Path | None = None,
    transpose: bool | None = None,
    emulator: Literal["auto", "unicorn", "qemu", "simavr"] = "auto",
    port: str | None = None,
    like: Literal["tflm", "onnxruntime", "litert-xnnpack"] = "tflm",
    firmware: str | Path | None = None,
    quiet: bool = False,
) -> Ran:
    """Run a board's firmware on images, and compare every logit with the reference's: `lenet-edge run`.

    Args:
        board: its name, or the path of a TOML.
        model: the int8 .tflite that the firmware was built from.
        data: as for `check`.
        images: how many test images; the first ones, or the first of each class if they are sorted by class.
        picture: a file to classify instead of test images.
        transpose: as the model was trained if None.
        emulator: what runs it.
        port: a real board at this serial port instead.
        like: of the board at the port: what its firmware was built for.
        firmware: the folder that `build` left; ``build/firmware/BOARD`` if None, built now if there is none.

    Raises:
        CheckFailedError: a logit differs; the error's `result` is what would have been returned.
        BadInputError: board, model or images cannot be read or do not fit each other, or an argument makes no sense.
        MissingToolError: there is no emulator, or no compiler.
        LinkError: the board does not answer, or runs another model.
    """
    given = locals()
    try:
        return _ran(call("run", **given))
    except CheckFailedError as error:
        error.result = error.result and _ran(error.result)
        raise


def _ran(found: dict[str, Any]) -> Ran:
    answers = (
        Answer(
            answer["image"],
            answer["file"],
            answer["class"],
            answer["probability"],
            answer["label"],
            tuple(answer["logits"]),
        )
        for answer in found["images"]
    )
    facts = {name: found[name] for name in ("board", "fingerprint", "emulator", "banner", "clock_hz", "logits_differ")}
    sizes = {name: found[name] for name in ("stack_used_bytes", "stack_proved_bytes", "stack_problem", "ram_bytes")}
    return Ran(answers=tuple(answers), warnings=tuple(found["warnings"]), **facts, **sizes)
