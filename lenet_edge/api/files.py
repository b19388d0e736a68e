"""What becomes of an int8 model: files for other runtimes, and the check of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lenet_edge.api.results import Exported
from lenet_edge.cli.from_python import call

if TYPE_CHECKING:
    from lenet_edge.records import CheckRecord

__all__ = ["check", "export"]

INT8_MODEL = "build/lenet5-int8.tflite"


def export(
    target: Literal["tflite", "onnx", "tflm", "c", "arduino", "platformio", "zephyr", "esp-idf"],
    model: str | Path = INT8_MODEL,
    *,
    onnx_form: Literal["qdq", "qoperator"] = "qdq",
    array_style: Literal["tflm", "xxd", "g_model"] = "tflm",
    kernels: str = "plain",
    optimize: Literal["speed", "size"] = "speed",
    weight_packing: str = "8",
    like: Literal["tflm", "onnxruntime", "litert-xnnpack"] = "tflm",
    frames: str | None = None,
    name: str | None = None,
    float_model: str | Path | None = None,
    calibrate: str | Path | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
) -> Exported:
    """Write an int8 model for a runtime or for your project: `lenet-edge export`.

    Args:
        target: what it is written for.
        model: an int8 .tflite or QDQ .onnx.
        onnx_form: of the target "onnx".
        array_style: names of the array of the target "tflm".
        kernels, optimize: of the C: a family of kernels, or the plain ones for "size".
        weight_packing: of the C: "auto", "8", "4", "2", "trits", or by layer, "C5=trits,F6=4".
        like: the runtime whose integers the C computes, where the model is not tie-free.
        frames: add `le_prepare` to the C, for camera frames such as "320x240/rgb565".
        name: the prefix of all names in the C.
        float_model: for the target "onnx"; the one next to the model if None.
        calibrate: for a QDQ .onnx that is float in places: inputs whose values give the scales.
        out: the folder, ``build/TARGET`` if None.

    Raises:
        BadInputError: the model cannot be read, the target does not take it, or an argument makes no sense.
        MissingToolError: a package of that target is not installed.
    """
    given = locals()
    found = call("export", **given)
    manifest = found.manifest
    return Exported(found.folder, manifest.fingerprint, manifest.files, manifest.facts, found.warnings)


def check(
    model: str | Path = INT8_MODEL,
    data: str | Path = "mnist",
    *,
    engines: Sequence[str] = (),
    boards: Sequence[str | Path] = (),
    emulator: Literal["auto", "unicorn", "qemu", "simavr"] = "auto",
    images: int | None = None,
    float_model: str | Path | None = None,
    like: str | None = None,
    require_all: bool = False,
    max_drop: float = 0.10,
    exports: str | Path = "build",
    transpose: bool | None = None,
    junit: str | Path | None = None,
    summary: str | Path | None = None,
    sheet: str | Path | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
) -> CheckRecord:
    """Run every engine on the test images and compare every logit: `lenet-edge check`.

    Args:
        model: an int8 .tflite.
        data: as for `train`; a .npy, .npz or .csv in the model's own shape; or "noise".
        engines: only these; all if empty.
        boards, emulator: names of boards whose firmware is to run, too, or paths of their TOML; and what runs it.
        images: only the first so many test images.
        float_model: to compare with; the one next to the model if None.
        like: pass if our C, the boards and this runtime agree.
        require_all: an engine that is not installed is a failure.
        max_drop: the most percentage points that int8 may lose.
        exports: where `export` and `build` left their folders.
        transpose: as the model was trained if None.
        junit, summary, sheet: also write JUnit XML, the verdict in Markdown, and the worst test images (.png).
        out: the record's file, ``build/check.json`` if None.

    Raises:
        CheckFailedError: a logit differs, or int8 loses too much; its `result` is the record.
        BadInputError: something cannot be read, or does not fit or make sense.
    """
    given = locals()
    record: CheckRecord = call("check", **given)
    return record
