"""`lenet-edge quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lenet_edge.cli import common, confusion, modules, picture_options, quantize_fit, quantize_float, quantize_module
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.places import require_place
from lenet_edge.cli.preparing import PrepareOptions, prepare_options
from lenet_edge.cli.quantize_float import FloatFile
from lenet_edge.cli.quantize_report import Report, tables
from lenet_edge.cli.quantize_work import quantize_to
from lenet_edge.errors import BadInputError


@click.command()
@click.option("--int8", is_flag=True, default=True, help="Quantise to int8, the default and the only width.")
@click.option(
    "--weight-bits",
    metavar="BITS",
    default="8",
    show_default=True,
    help="Bits of the weights: 8, 4 or 2 (ternary), or some by layer: C5=2,F6=4. The model stays an int8 model.",
)
@quantize_fit.fit_options
@common.model_option(Path("build/lenet5.safetensors"), "float model to quantise")
@common.data_option
@picture_options.transpose_option
@click.option(
    "--images",
    type=common.IMAGE_COUNT,
    default=500,
    show_default=True,
    help="With a float .tflite or .onnx: calibrate on the first N training images.",
)
@prepare_options
@click.option(
    "--epochs",
    type=click.IntRange(0, common.EPOCHS_MAX),
    help="Epochs of fine-tuning; 0 means post-training quantisation.  [default: the network's, 4 of lenet5]",
)
@click.option("--seed", type=common.SEED, default=0, show_default=True, help="Seed of batches and augmentation.")
@click.option("--device", default="cpu", show_default=True, help="The torch device: cpu, cuda, mps.")
@click.option(
    "--grid",
    type=click.Choice(["tie-free", "ordinary"]),
    default="tie-free",
    show_default=True,
    help="ordinary: the usual per-channel int8, on which runtimes differ; for comparison.",
)
@modules.module_options
@confusion.sheet_option
@common.out_option("build/MODEL-int8.tflite")
@common.json_option
@modules.packed
def quantize(
    int8: bool,
    weight_bits: str,
    fit: quantize_fit.FitOptions | None,
    model: Path,
    data: str,
    transpose: bool | None,
    images: int,
    prepare: PrepareOptions,
    epochs: int | None,
    seed: int,
    device: str,
    grid: str,
    module: modules.ModuleOptions,
    sheet: Path | None,
    out: Path | None,
    as_json: bool,
) -> tuple[Path, Report]:
    """Quantise a float model to int8, fine-tune it, prove the result.

    On the tie-free grid every rounding rule in use gives the same integers; the proof enumerates
    every accumulator that any image can reach. Writes OUT, and next to it the fine-tuned weights
    (.qat.safetensors, for the PyTorch engine) and the report (.json).

    --fit-board finds what each layer loses with few bits, trains the best that fit, and leaves .fit.json and .fit.svg.

    A float .tflite or .onnx that was trained elsewhere is calibrated on training images of --data, not fine-tuned.
    A PyTorch module (my_net.py:Net) with its --weights is first taken over, as by `train --epochs 0`.
    """
    _require_a_grid_for(weight_bits, fit, grid)
    _refuse_unused(epochs, out, (model, Path(data)))
    settings: dict[str, Any] = {"fit": fit, "epochs": epochs, "seed": seed, "device": device, "grid": grid}
    if quantize_module.is_module(model):
        model = quantize_module.checkpoint_of(model, data, module, prepare, transpose)
        out, report = _quantize_trained(model, data, transpose, out, weight_bits, **settings)
    elif model.suffix in quantize_float.SUFFIXES:
        quantize_float.refuse_training(epochs, model)
        out = out or Path("build") / f"{model.stem}-int8.tflite"
        report = quantize_float.quantize_file(FloatFile(model, data, transpose, prepare, images, grid, out))
    else:
        quantize_module.refuse_without_module()
        refuse_given("with a model that `train` left: its pictures and its training are its own", "images")
        prepare.refuse("with a model that `train` left: it records how its pictures are prepared")
        out, report = _quantize_trained(model, data, transpose, out, weight_bits, **settings)
    return _shown(out, report, sheet, as_json=as_json)


def _shown(out: Path, report: Report, sheet: Path | None, *, as_json: bool) -> tuple[Path, Report]:
    """What the command returns, printed."""
    found = {} if report.fit is None else {"fit": report.fit.content()}
    shown = [*quantize_fit.tables(out, report.fit), *confusion.shown(report.answers, sheet), *tables(out, report)]
    common.show({"out": str(out), **report.content(), **found}, as_json=as_json, tables=lambda: shown)
    return out, report


def _quantize_trained(
    model: Path,
    data: str,
    transpose: bool | None,
    out: Path | None,
    weight_bits: str,
    fit: quantize_fit.FitOptions | None,
    **settings: Any,
) -> tuple[Path, Report]:
    from lenet_edge import datasets
    from lenet_edge.learning import checkpoint, training
    from lenet_edge.networks.weight_bits import few_bits

    _require_model(model)
    saved = checkpoint.load(model)
    network = training.network_of(saved)
    choices = None if fit is None else quantize_fit.choices_of(fit, weight_bits, network)
    bits = few_bits(weight_bits, network.description)
    transpose = picture_options.transposes(data, transpose, saved.metadata.get("transposed"))
    preparation = checkpoint.preparation_of(saved.metadata)
    dataset = datasets.load(data, preparation, transpose=transpose, progress=common.log)
    out = out or Path("build") / f"{model.stem}-int8.tflite"  # the name by which `check` finds the float model again
    for path in (*_written_with(out), *(quantize_fit.files_of(out) if fit else ())):
        require_place(path)
    if fit is None or choices is None:
        return out, quantize_to(out, saved, network, dataset, bits=bits, **settings)
    del settings["grid"]
    return out, quantize_fit.fit_to(out, saved, network, dataset, fit, choices, **settings)


def _require_model(model: Path) -> None:
    """Name what there is where the model that is taken by default is not."""
    context = click.get_current_context()
    if context.get_parameter_source("model") is not click.core.ParameterSource.DEFAULT or model.exists():
        return
    others = sorted(path for path in model.parent.glob("*.safetensors") if len(path.suffixes) == 1)
    if others:
        raise BadInputError(f"{model} is missing; name one of these with --model: {', '.join(map(str, others))}")


def _refuse_unused(epochs: int | None, out: Path | None, inputs: tuple[Path, ...]) -> None:
    """Refuse options without effect, and files that would be written over an input."""
    if epochs == 0:
        refuse_given("with --epochs 0, which shuffles nothing", "seed")
    if out is not None and out.suffix != ".tflite":
        raise click.UsageError(f"--out {out}: the name must end with .tflite")
    if out is not None:
        common.require_apart([*_written_with(out), *quantize_fit.files_of(out)], inputs)


def _written_with(out: Path) -> tuple[Path, ...]:
    """The model, and what is written next to it."""
    from lenet_edge.cli.artefacts import qat_weights_of

    return out, qat_weights_of(out), out.with_suffix(".json")


def _require_a_grid_for(weight_bits: str, fit: quantize_fit.FitOptions | None, grid: str) -> None:
    for option, is_given in (("--weight-bits", weight_bits != "8"), ("--fit-board", fit is not None)):
        if grid == "ordinary" and is_given:
            raise click.UsageError(f"{option} is for the tie-free grid; leave out --grid ordinary")
