"""`lenet-edge retie`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from lenet_edge.cli import common, inputs
from lenet_edge.cli.common import short_name
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.places import require_place
from lenet_edge.cli.preparing import PrepareOptions, prepare_options
from lenet_edge.errors import BadInputError, CheckFailedError

if TYPE_CHECKING:
    from lenet_edge.cli.inputs import Inputs
    from lenet_edge.quantized.model import QuantizedModel
    from lenet_edge.quantized.proof import Proof
    from lenet_edge.retie import LayerMove, Retied

NOISE = "noise"
_NOISE_IMAGES = 100
_MEASURED = 1000
_POOR_DB = 20.0
_OTHERWISE = (
    "As it is, `check`, `export` and `build` take it with --like RUNTIME: the C computes what that runtime does"
)


@dataclass(frozen=True)
class Cost:
    """What the move cost on images that the tuning did not see; shares 0..1, None of a model without classes or labels.

    Attributes:
        images: how many.
        agreement: share of the images on which both models say the same class.
        accuracy, new_accuracy: of the original and of the new model.
    """

    images: int
    agreement: float | None
    accuracy: float | None
    new_accuracy: float | None


@click.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL")
@click.option(
    "--data",
    default=NOISE,
    metavar="NAME|DIR|FILE",
    help="Images to fine-tune on, without their labels, and to measure on: a data set as for `train`; a .npy, .npz or "
    ".csv in the model's own shape.  [default: none; random, extreme and smooth inputs measure]",
)
@click.option(
    "--images",
    "tuned_on",
    type=common.IMAGE_COUNT,
    default=200,
    show_default=True,
    help=f"Tune on the first N images of --data; up to {_MEASURED:,} of the others measure.",
)
@prepare_options
@common.out_option("build/NAME-tiefree.tflite")
@common.json_option
def retie(
    model: Path, data: str, tuned_on: int, prepare: PrepareOptions, out: Path | None, as_json: bool
) -> dict[str, object]:
    """Move an int8 .tflite or QDQ .onnx onto the tie-free grid.

    Afterwards every runtime gives the same integers for every image, which is proved, and the fast kernels
    apply. It takes no training: scales move by a little, weights are rounded again, averages become depthwise
    convolutions. With --data, each layer's weights and biases are also fitted to what the original computes.
    A SOFTMAX at the end stays as it is: runtimes round its probabilities differently by one.

    Writes OUT, and next to it the report (.json).
    """
    from lenet_edge.formats import int8_models
    from lenet_edge.retie import retie as moved

    if data == NOISE:
        refuse_given("without --data", "tuned_on")
    if out is not None and out.suffix != ".tflite":
        raise click.UsageError(f"--out {out}: the name must end with .tflite")
    out = out or Path("build") / f"{model.stem}-tiefree.tflite"
    common.require_apart([out, out.with_suffix(".json")], [model, Path(data)])
    require_place(out)
    loaded = int8_models.read(model)
    _require_ordinary(loaded, model)
    found = moved(loaded)
    report = _moved(loaded, found, data, tuned_on, prepare, out)
    common.show(report, as_json=as_json, tables=lambda: _tables(report))
    return report


def _require_ordinary(model: QuantizedModel, path: Path) -> None:
    from lenet_edge.quantized.tie_free import is_tie_free, without_last_softmax

    if is_tie_free(without_last_softmax(model)):
        softmax = ", up to the SOFTMAX at its end" if without_last_softmax(model) is not model else ""
        raise BadInputError(f"{path} is tie-free already{softmax}: every runtime gives the same integers")


def _moved(
    model: QuantizedModel, found: Retied, data: str, tuned_on: int, prepare: PrepareOptions, out: Path
) -> dict[str, object]:
    """Tune, prove, measure, write; the report.

    Raises:
        CheckFailedError: runtimes would still differ; nothing was written.
    """
    from lenet_edge.files import to_json, write_files
    from lenet_edge.formats import tflite
    from lenet_edge.retie import moves, tune

    if data == NOISE:
        given = inputs.test_inputs(model, NOISE, _NOISE_IMAGES, None, prepare)
        measured = slice(0, _NOISE_IMAGES)
    else:
        given = inputs.test_inputs(model, data, None, None, prepare)
        measured = _behind(tuned_on, len(given.images), data)
        common.log(f"fitting each layer on {tuned_on:,} images ...")
        found = tune(model, found, given.images[:tuned_on])
    proof = prove_moved(found, _OTHERWISE)
    common.log("measuring ...")
    cost = _cost(model, found.model, given, measured)
    layers = moves(model, found, given.images[measured][:_NOISE_IMAGES])
    _warn(model, layers)
    report: dict[str, object] = {
        "out": str(out),
        "fingerprint": found.model.fingerprint,
        "retied_from": model.fingerprint,
        "data": data,
        "tuned_on": 0 if data == NOISE else tuned_on,
        "cost": asdict(cost),
        "proof": {"cases": proof.cases, "disagreements": proof.disagreements},
        "softmax_at_the_end": _ends_in_softmax(found.model),
        "layers": [asdict(layer) for layer in layers],
    }
    written = found.model.with_metadata(grid="tie-free", retied_from=model.fingerprint)
    contents = {out.name: tflite.to_bytes(written), out.with_suffix(".json").name: to_json(report).encode()}
    write_files(out.parent, contents)
    return report


def _warn(model: QuantizedModel, layers: Sequence[LayerMove]) -> None:
    """Say what a user might not expect: a poor result, ends of another type."""
    worst = min((layer.sqnr_db for layer in layers if layer.sqnr_db is not None), default=_POOR_DB)
    if worst < _POOR_DB:
        common.log(f"warning: a layer has an SQNR of {worst:.1f} dB, below {_POOR_DB:.0f}: compare the models on data")
    ends = model.metadata.get("ends") or {}
    if ends:
        kinds = "; ".join(f"{what} {', '.join(types)}" for what, types in ends.items())
        common.log(f"the file's ends are {kinds}; the new model takes and gives int8")


def _behind(tuned_on: int, count: int, data: str) -> slice:
    if tuned_on >= count:
        raise BadInputError(
            f"{data} has {count:,} images; --images {tuned_on} leaves none to measure on: give fewer, or more images"
        )
    return slice(tuned_on, min(count, tuned_on + _MEASURED))


def prove_moved(found: Retied, otherwise: str) -> Proof:
    """The proof of all but a SOFTMAX at the end.

    Args:
        otherwise: what one can do with a model that cannot be moved, for the message.

    Raises:
        CheckFailedError: runtimes would still round some layers differently; all of them are named.
    """
    from lenet_edge.quantized.proof import prove
    from lenet_edge.quantized.tie_free import tie_free_problem, without_last_softmax

    exact = without_last_softmax(found.model)
    reasons = [f"layer {name}: {why}" for name, why in found.left.items()]
    if problem := tie_free_problem(exact) or next(iter(reasons), None):
        reasons = reasons or [problem]
        why = "; ".join(reasons)
        raise CheckFailedError(f"runtimes would still differ, so nothing was written: {why}. {otherwise}")
    common.log("proving: every accumulator that any input can reach, under every rounding rule ...")
    proof = prove(exact)
    if not proof.passed:
        raise CheckFailedError(f"the proof found {proof.disagreements} disagreements; nothing was written")
    return proof


def _ends_in_softmax(model: QuantizedModel) -> bool:
    from lenet_edge.quantized.tie_free import without_last_softmax

    return without_last_softmax(model) is not model


def _cost(model: QuantizedModel, new: QuantizedModel, given: Inputs, measured: slice) -> Cost:
    from lenet_edge.quantized.meaning import meaning_of
    from lenet_edge.quantized.reference import run

    images, meaning = given.images[measured], meaning_of(model)
    if meaning.kind == "values":
        return Cost(len(images), None, None, None)
    before, after = (meaning_of(each).predictions(run(each, images)) for each in (model, new))
    labels = None if given.labels is None else given.labels[measured]
    accuracies = [None if labels is None else float((said == labels).mean()) for said in (before, after)]
    return Cost(len(images), float((before == after).mean()), *accuracies)


# --- shown ----------------------------------------------------------------------------------------


def _tables(report: dict[str, object]) -> list[Table | str]:
    layers, cost, proof = report["layers"], report["cost"], report["proof"]
    assert isinstance(layers, list)
    assert isinstance(cost, dict)
    assert isinstance(proof, dict)
    table = common.new_table("moved", "layer", "kind", "scale", "moved", "q", "SQNR dB", left=2)
    for layer in layers:
        table.add_row(*_row(layer))
    softmax = "; a SOFTMAX at the end stays: runtimes round it differently" if report["softmax_at_the_end"] else ""
    return [
        table,
        f"{proof['cases']:,} cases under every rule, {proof['disagreements']} disagreements{softmax}",
        *_cost_lines(cost, "noise inputs" if report["data"] == NOISE else str(report["data"])),
        f"{report['out']}: model {report['fingerprint']}",
    ]


def _row(layer: dict[str, float | str | None]) -> Sequence[str]:
    moved = float(layer["new_scale"] or 0) / float(layer["scale"] or 1) - 1
    return (
        short_name(str(layer["name"])),
        str(layer["kind"]),
        f"{layer['new_scale']:.6g}",
        f"{100 * moved:+.2f} %" if abs(moved) > 1e-9 else "",
        "" if layer["q_min"] is None else f"{layer['q_min']}..{layer['q_max']}",
        "" if layer["sqnr_db"] is None else f"{layer['sqnr_db']:.1f}",
    )


def _cost_lines(cost: dict[str, float | None], data: str) -> list[str]:
    if cost["agreement"] is None:
        return []
    lines = [f"{cost['images']:,} of {data}: both say the same class on {100 * cost['agreement']:.2f} %"]
    if cost["accuracy"] is not None and cost["new_accuracy"] is not None:
        lines[0] += f"; accuracy {100 * cost['accuracy']:.2f} % before, {100 * cost['new_accuracy']:.2f} % now"
    return lines
