"""`lenet-edge predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from lenet_edge.cli import common, inputs
from lenet_edge.errors import BadInputError


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@common.model_option(common.INT8_MODEL, "int8 model")
@click.option("--engine", default="reference", show_default=True, metavar="NAME", help="Any engine of `check`.")
@click.option("--invert/--no-invert", default=None, help="Whether the picture is dark on bright.  [default: look]")
@common.json_option
def predict(pictures: tuple[Path, ...], model: Path, engine: str, invert: bool | None, as_json: bool) -> None:
    """Classify pictures: the distribution over the classes.

    A picture of any size is made what MNIST's are: grey, bright on dark, the digit in a 20x20 box
    centred by its mass in 28x28. A 28x28 picture is taken as it is.
    """
    import numpy as np

    from lenet_edge.cli.artefacts import Artefacts, engine_names
    from lenet_edge.formats import tflite
    from lenet_edge.pictures import read_picture
    from lenet_edge.quantized.meaning import meaning_of
    from lenet_edge.quantized.reference import run

    (name,) = engine_names((engine,), with_reference=True)
    loaded, content = tflite.load(model)
    meaning = meaning_of(loaded)
    meaning.require_classes()
    read = [read_picture(picture, invert=invert) for picture in pictures]
    images = inputs.picture_inputs(loaded, np.stack([image for image, _ in read]))
    warnings = inputs.model_warnings(loaded)
    if name == "reference":
        logits = run(loaded, images)
    else:
        from lenet_edge.engines import ENGINES

        kind = ENGINES[name].artefact
        with Artefacts(model, loaded, content, kinds=[kind]) as artefacts:
            path = artefacts[kind]
            if isinstance(path, str):
                raise BadInputError(f"{name}: {path}")
            logits = ENGINES[name].run(path, images)
    result = {
        "engine": name,
        "fingerprint": loaded.fingerprint,
        "outputs": meaning.kind,
        "warnings": warnings,
        "predictions": [
            _prediction(picture, note, values, meaning)
            for picture, (_, note), values in zip(pictures, read, logits, strict=True)
        ],
    }
    common.show(result, as_json=as_json, tables=lambda: _tables(result))


def _prediction(picture: Path, note: str, logits: Any, meaning: Any) -> dict[str, Any]:
    shares = meaning.probabilities(logits[None])[0]
    return {
        "picture": str(picture),
        "class": meaning.classes[int(meaning.predictions(logits[None])[0])],
        "distribution": dict(zip(meaning.classes, shares.tolist(), strict=True)),
        "logits": logits.tolist(),
        "prepared": note,
    }


def _tables(result: dict[str, Any]) -> list[Table | str]:
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
