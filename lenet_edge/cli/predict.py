"""`lenet-edge predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click
from rich.table import Table

from lenet_edge.cli import common, frames, inputs
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.picture_options import invert_options
from lenet_edge.cli.preparing import PrepareOptions, prepare_options
from lenet_edge.errors import BadInputError

if TYPE_CHECKING:
    from lenet_edge.cli.inputs import Int8Array
    from lenet_edge.preparation import Invert, Preparation
    from lenet_edge.quantized.meaning import Meaning
    from lenet_edge.quantized.model import QuantizedModel


# "class" is a keyword, so that this one cannot be a class statement.
Prediction = TypedDict(
    "Prediction",
    {"picture": str, "class": str, "distribution": dict[str, float], "logits": list[int], "prepared": str},
)


class Predictions(TypedDict):
    """What `--json` prints."""

    engine: str
    fingerprint: str
    outputs: str
    warnings: list[str]
    predictions: list[Prediction]


@click.command()
@click.argument("pictures", nargs=-1, type=click.Path(path_type=Path), metavar="[IMAGE...]")
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
    """Classify pictures, or a camera's frame: the distribution over the classes.

    A picture of any size is prepared as the model records it: cropped, in grey or colour, resized by
    area; for MNIST's networks bright on dark, the digit in a 20x20 box, centred by its centre of mass.
    For a model that records nothing, options say how.
    """
    from lenet_edge.cli.artefacts import engine_names
    from lenet_edge.formats import tflite
    from lenet_edge.quantized.meaning import meaning_of

    _require_one_kind(pictures, frame)
    (name,) = engine_names((engine,), with_reference=True)
    loaded, content = tflite.load(model)
    meaning = meaning_of(loaded)
    meaning.require_classes()
    preparation, remark = prepare.applied(loaded)
    if frame is None:
        images, notes = _pictures(pictures, loaded, preparation, invert)
    else:
        prepared = frames.PreparedFrame(frame, loaded, preparation)
        pictures, images, notes = (frame.path,), prepared.images, [prepared.note]
    warnings = inputs.model_warnings(loaded, pictures=prepare.low_high is None)
    logits = _run(name, model, loaded, content, images)
    result: Predictions = {
        "engine": name,
        "fingerprint": loaded.fingerprint,
        "outputs": meaning.kind,
        "warnings": warnings,
        "predictions": [
            _prediction(picture, f"{note}; {remark}" if remark else note, values, meaning)
            for picture, note, values in zip(pictures, notes, logits, strict=True)
        ],
    }
    common.show(result, as_json=as_json, tables=lambda: _tables(result))


def _require_one_kind(pictures: tuple[Path, ...], frame: frames.CameraFrame | None) -> None:
    """Pictures or a frame, and the options of that only."""
    if frame is None:
        frames.refuse_without_frame()
        if not pictures:
            raise click.UsageError("name pictures, or a camera's frame with --frame")
    elif pictures:
        raise click.UsageError(f"{pictures[0]} has no effect with --frame, which takes the place of pictures")
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


def _prediction(picture: Path, note: str, logits: Int8Array, meaning: Meaning) -> Prediction:
    shares = meaning.probabilities(logits[None])[0]
    return {
        "picture": str(picture),
        "class": meaning.classes[int(meaning.predictions(logits[None])[0])],
        "distribution": dict(zip(meaning.classes, shares.tolist(), strict=True)),
        "logits": logits.tolist(),
        "prepared": note,
    }


def _tables(result: Predictions) -> list[Table | str]:
    heading = "logit" if result["outputs"] == "logits" else "int8"
    tables: list[Table | str] = []
    for prediction in result["predictions"]:
        table = common.new_table(f"{prediction['picture']}: {prediction['class']}", "class", "probability", heading)
        shares = list(prediction["distribution"].items())
        logits = [""] * (len(shares) - len(prediction["logits"])) + prediction["logits"]  # one output: of the 2nd class
        for (name, share), logit in zip(shares, logits, strict=True):
            style = "bold" if name == prediction["class"] else None
            table.add_row(name, f"{share:.4f}  {'█' * round(20 * share):<20}", str(logit), style=style)
        tables += [table, f"{prediction['prepared']}; engine {result['engine']}"]
    return tables
