"""`lenet-edge predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click
from rich.console import RenderableType
from rich.table import Table

from lenet_edge.cli import common, frames, inputs
from lenet_edge.cli.drawing import Images, bar
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.picture_options import invert_options
from lenet_edge.cli.preparing import PrepareOptions, prepare_options
from lenet_edge.errors import BadInputError

if TYPE_CHECKING:
    from lenet_edge.cli.inputs import Int8Array
    from lenet_edge.preparation import Invert, Preparation
    from lenet_edge.quantized.meaning import Meaning
    from lenet_edge.quantized.model import QuantizedModel


_SHOWN = 20  # outputs of a model without classes
_DRAWN = 8  # pictures, each above its table

# "class" is a keyword, so that this one cannot be a class statement.
Prediction = TypedDict(
    "Prediction",
    {
        "picture": str,
        "class": str | None,
        "distribution": dict[str, float] | None,
        "values": list[float] | None,
        "logits": list[int],
        "prepared": str,
    },
)


class Predictions(TypedDict):
    """What `--json` prints."""

    engine: str
    fingerprint: str
    outputs: str
    warnings: list[str]
    predictions: list[Prediction]


@click.command()
@click.argument("pictures", nargs=-1, type=click.Path(path_type=Path), metavar="[IMAGE|FILE...]")
@common.model_option(common.INT8_MODEL, "int8 model to run")
@click.option(
    "--engine",
    default="reference",
    show_default=True,
    metavar="NAME",
    help="The engine to run it on: any of `check`'s.",
)
@invert_options
@prepare_options
@frames.frame_options
@common.json_option
def predict(
    pictures: tuple[Path, ...],
    model: Path,
    engine: str,
    invert: Invert | None,
    prepare: PrepareOptions,
    frame: frames.CameraFrame | None,
    as_json: bool,
) -> None:
    """Classify pictures, a camera's frame, or values.

    A picture of any size is prepared as the model records it: cropped, in grey or colour, resized by
    area; for MNIST's networks bright on dark, the digit in a 20x20 box, centred by its centre of mass.
    For a model that records nothing, options say how. A .npy, .npz or .csv holds inputs in the model's own
    shape. For a model without classes, the outputs are shown as real values. In a terminal, the first pictures
    are drawn as the network sees them.
    """
    from lenet_edge.cli.artefacts import engine_names
    from lenet_edge.formats import int8_models
    from lenet_edge.quantized.meaning import meaning_of

    _require_one_kind(pictures, frame)
    (name,) = engine_names((engine,), with_reference=True)
    loaded, content = int8_models.load(model)
    meaning = meaning_of(loaded)
    shown, images, notes = _inputs(pictures, loaded, prepare, invert, frame)
    are_pixels = prepare.low_high is None and not _are_values(pictures)
    warnings = inputs.model_warnings(loaded, pictures=are_pixels)
    logits = _run(name, model, loaded, content, images)
    result: Predictions = {
        "engine": name,
        "fingerprint": loaded.fingerprint,
        "outputs": meaning.kind,
        "warnings": warnings,
        "predictions": [
            _prediction(name, note, values, meaning) for name, note, values in zip(shown, notes, logits, strict=True)
        ],
    }
    common.show(result, as_json=as_json, tables=lambda: _tables(result, images))


def _inputs(
    pictures: tuple[Path, ...],
    model: QuantizedModel,
    prepare: PrepareOptions,
    invert: Invert | None,
    frame: frames.CameraFrame | None,
) -> tuple[list[str], Int8Array, list[str]]:
    """What each input is called, the inputs, and how each was prepared."""
    if frame is None and _are_values(pictures):
        return _values(pictures, model, prepare)
    preparation, remark = prepare.applied(model)
    if frame is None:
        images, notes = _pictures(pictures, model, preparation, invert)
    else:
        prepared = frames.PreparedFrame(frame, model, preparation)
        pictures, images, notes = (frame.path,), prepared.images, [prepared.note]
    return list(map(str, pictures)), images, [f"{note}; {remark}" if remark else note for note in notes]


def _are_values(files: tuple[Path, ...]) -> bool:
    """Whether all of these hold inputs in the model's own shape; raises if only some do."""
    from lenet_edge.datasets.values import holds_values

    kinds = {holds_values(str(path)) for path in files}
    if len(kinds) > 1:
        raise click.UsageError("name pictures, or files of values (.npy, .npz, .csv), not both")
    return kinds == {True}


def _values(
    files: tuple[Path, ...], model: QuantizedModel, prepare: PrepareOptions
) -> tuple[list[str], Int8Array, list[str]]:
    import numpy as np

    from lenet_edge.datasets.values import read_values

    why = "with files of values, which are not pictures"
    prepare.refuse(why)
    refuse_given(why, "invert")
    shown, parts = [], []
    for path in files:
        values = read_values(path, [tensor.shape for tensor in model.inputs]).values
        parts.append(inputs.value_inputs(model, values, str(path)))
        shown += [str(path)] if len(values) == 1 else [f"{path}, input {index}" for index in range(len(values))]
    return shown, np.concatenate(parts), ["as the file has it"] * len(shown)


def _require_one_kind(pictures: tuple[Path, ...], frame: frames.CameraFrame | None) -> None:
    """Pictures or a frame, with only the options that go with them."""
    if frame is None:
        frames.refuse_without_frame()
        if not pictures:
            raise click.UsageError("name pictures, or a camera's frame with --frame")
    elif pictures:
        raise click.UsageError(f"{pictures[0]} has no effect with --frame, which replaces pictures")
    else:
        refuse_given("with --frame: a frame is as the camera saw it", "invert")


def _pictures(
    pictures: tuple[Path, ...], model: QuantizedModel, preparation: Preparation, invert: Invert | None
) -> tuple[Int8Array, list[str]]:
    """Their images, int8 ``[n, h, w, c]``, and how each was prepared."""
    import numpy as np

    from lenet_edge.pictures import read_picture

    read = [read_picture(picture, preparation, invert=invert) for picture in pictures]
    return inputs.picture_inputs(model, np.stack([image for image, _ in read]), preparation), [note for _, note in read]


def _run(engine: str, path: Path, model: QuantizedModel, content: bytes, images: Int8Array) -> Int8Array:
    """The logits of an engine, int8 ``[n, outputs]``."""
    from lenet_edge.cli.artefacts import Artefacts
    from lenet_edge.engines import ENGINES, Absent
    from lenet_edge.quantized.reference import run

    if engine == "reference":
        return run(model, images)
    kind = ENGINES[engine].artefact
    with Artefacts(path, model, content, kinds=[kind]) as artefacts:
        artefact = artefacts[kind]
        if isinstance(artefact, Absent):
            raise BadInputError(f"{engine}: {artefact.reason}")
        return ENGINES[engine].run(artefact, images)


def _prediction(name: str, note: str, logits: Int8Array, meaning: Meaning) -> Prediction:
    has_classes = meaning.kind != "values"
    found: Prediction = {
        "picture": name,
        "class": None,
        "distribution": None,
        "values": None if has_classes else meaning.real(logits[None])[0].tolist(),
        "logits": logits.tolist(),
        "prepared": note,
    }
    if has_classes:
        shares = meaning.probabilities(logits[None])[0]
        found["class"] = meaning.classes[int(meaning.predictions(logits[None])[0])]
        found["distribution"] = dict(zip(meaning.classes, shares.tolist(), strict=True))
    return found


def _tables(result: Predictions, images: Int8Array) -> list[RenderableType]:
    heading = "logit" if result["outputs"] == "logits" else "int8"
    tables: list[RenderableType] = []
    for index, prediction in enumerate(result["predictions"]):
        if index < _DRAWN:
            tables.append(Images(images[index : index + 1]))
        if prediction["distribution"] is None:
            tables += [_values_table(prediction), f"{prediction['prepared']}; engine {result['engine']}"]
            continue
        table = common.new_table(f"{prediction['picture']}: {prediction['class']}", "class", "probability", heading)
        shares = list(prediction["distribution"].items())
        logits = [""] * (len(shares) - len(prediction["logits"])) + prediction["logits"]  # one output: of the 2nd class
        for (name, share), logit in zip(shares, logits, strict=True):
            style = "bold" if name == prediction["class"] else None
            table.add_row(name, f"{share:.4f}  {bar(share)}", str(logit), style=style)
        tables += [table, f"{prediction['prepared']}; engine {result['engine']}"]
    return tables


def _values_table(prediction: Prediction) -> Table:
    """The outputs of a model without classes: the first of them, and the range of all."""
    values = prediction["values"] or []
    reach = (
        f"{min(values):.6g}" if len(values) == 1 else f"{len(values):,} values, {min(values):.6g} to {max(values):.6g}"
    )
    title = f"{prediction['picture']}: {reach}"
    table = common.new_table(title, "output", "value", "int8")
    for index, (value, integer) in enumerate(zip(values[:_SHOWN], prediction["logits"], strict=False)):
        table.add_row(str(index), f"{value:.6g}", str(integer))
    if len(values) > _SHOWN:
        table.add_row("...", "", "")
    return table
