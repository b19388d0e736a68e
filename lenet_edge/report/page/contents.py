"""What the page is given: its models, compiled, and example images with what other engines made of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError, one_line
from lenet_edge.formats import c_source
from lenet_edge.formats.images import preparation_of
from lenet_edge.preparation import Preparation
from lenet_edge.quantized.meaning import Meaning, meaning_of
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.report.html import environment, render
from lenet_edge.report.page.bundle import bundled
from lenet_edge.report.page.webassembly import compile_to_webassembly

__all__ = ["Engine", "Example", "Shown", "page", "require_images"]

Int8Array: TypeAlias = npt.NDArray[np.int8]

_FILES = Path(__file__).with_name("files")
_WORDS = {"conv2d": "convolution", "depthwise_conv2d": "depthwise convolution"}


@dataclass(frozen=True, eq=False)
class Engine:
    """What an engine made of the examples.

    Attributes:
        version: as it names itself.
        logits: int8 ``[examples, outputs]``.
    """

    name: str
    version: str
    logits: Int8Array


@dataclass(frozen=True)
class Example:
    """What an example image is called, and the class that it is labelled with, if there is one."""

    name: str
    label: str | None


@dataclass(frozen=True, eq=False)
class Shown:
    """A model of the page.

    Attributes:
        name: what it is called there.
        images: its images of the examples, int8 ``[examples, h, w, c]``.
        engines: those that ran them.
    """

    name: str
    model: QuantizedModel
    images: Int8Array
    engines: Sequence[Engine] = field(default=())


def require_images(model: QuantizedModel, name: str) -> None:
    """Refuse a model that no drawing can be made into an input of, or that has no classes to show.

    Raises:
        BadInputError: it is such a model; the message begins with `name`.
    """
    if len(model.inputs) > 1:
        raise BadInputError(f"{name}: the model takes {len(model.inputs)} inputs; the page shows models of one image")
    try:
        preparation_of(model)
        meaning_of(model).require_classes()
    except BadInputError as error:
        raise BadInputError(f"{name}: {error}; the page shows models that classify images") from error


def page(models: Sequence[Shown], examples: Sequence[Example] = (), data: str = "") -> bytes:
    """The page as one HTML file. The same arguments give the same bytes.

    Args:
        models: side by side, at least one.
        examples: what the images of each model are of.
        data: the name of the data set that they are from.

    Raises:
        BadInputError: a model is none of images, or has a layer that the C lacks.
        MissingToolError: there is no zig.
        ToolFailedError: zig failed.
    """
    contents = {
        "examples": [
            {"name": one_line(each.name), "label": None if each.label is None else one_line(each.label)}
            for each in examples
        ]
    }
    return render(
        environment(_FILES),
        "page.html.j2",
        styles=[(_FILES / "page.css").read_text(encoding="utf-8")],
        modules=[bundled(_FILES)],
        wasm=True,
        connects=True,
        title=" and ".join(one_line(each.name) for each in models),
        several=len(models) > 1,
        data=one_line(data),
        models=[
            {
                "name": one_line(each.name),
                "fingerprint": each.model.fingerprint,
                "preparation": _words(preparation_of(each.model)),
            }
            for each in models
        ],
        contents=contents | {"models": list(map(_content, models))},
    )


def _content(shown: Shown) -> dict[str, Any]:
    """A model as page.mjs reads it."""
    model, meaning, grid = shown.model, meaning_of(shown.model), shown.model.metadata.get("grid")
    require_images(model, shown.name)
    wasm = compile_to_webassembly(model)
    return {
        "name": one_line(shown.name),
        "fingerprint": model.fingerprint,
        "grid": grid if grid in ("tie-free", "ordinary") else "",
        "input": list(model.input.shape),
        "crop": preparation_of(model).crop,
        "steps": _steps(model),
        "wasm": _base64(wasm),
        "wasm_bytes": len(wasm),
        "examples": _base64(shown.images.tobytes()),
        "engines": [
            {"name": each.name, "version": each.version, "logits": each.logits.tolist()} for each in shown.engines
        ],
        **_outputs(meaning),
    }


def _outputs(meaning: Meaning) -> dict[str, Any]:
    """How the page reads the outputs: see numbers.mjs."""
    return {
        "classes": list(map(one_line, meaning.classes)),
        "outputs": meaning.kind,
        "output_values": meaning.outputs,
        "scale": float(meaning.tensor.scale),
        "zero_point": meaning.tensor.zero_point,
        "threshold": meaning.threshold,
    }


def _steps(model: QuantizedModel) -> list[dict[str, Any]]:
    plan = c_source.make_plan(model, c_source.PLAIN)
    return [
        _step(step, is_pooled=placed.step.pool is not None)
        for step, placed in zip(c_source.facts(plan)["steps"], plan.steps, strict=True)
    ]


def _step(step: Mapping[str, Any], *, is_pooled: bool) -> dict[str, Any]:
    """A step of the manifest; pads and clamps that it takes in are in its layers' names only."""
    pooled = " and max-pooling" if is_pooled else ""
    return {
        "layers": list(map(one_line, step["layers"])),
        "what": _WORDS.get(step["kind"], step["kind"].replace("_", " ")) + pooled,
        "output": step["output"],
        "macs": step["macs"],
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _words(preparation: Preparation) -> str:
    """How a frame becomes an image, in a few words."""
    parts = ["grey" if preparation.channels == 1 else "RGB"]
    if preparation.crop != "none":
        parts.insert(0, "the middle square" if preparation.crop == "square" else f"cut at {preparation.crop}")
    if preparation.invert != "never":
        parts.append("inverted" if preparation.invert == "always" else "inverted where its border is bright")
    parts.append("centred as MNIST is" if preparation.centred else "resized by area")
    return f"frames are prepared as {preparation.width} × {preparation.height} pixels, {', '.join(parts)}"
