"""`lenet-edge quantize`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from lenet_edge.cli import common, confusion, modules, picture_options, quantize_float, quantize_module
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.preparing import PrepareOptions, prepare_options
from lenet_edge.cli.quantize_report import Report, tables
from lenet_edge.errors import BadInputError, CheckFailedError

if TYPE_CHECKING:
    from lenet_edge.datasets import Dataset
    from lenet_edge.learning.checkpoint import Checkpoint
    from lenet_edge.learning.network import TorchNetwork
    from lenet_edge.learning.qat_network import QatNetwork
    from lenet_edge.learning.qat_training import QatSettings
    from lenet_edge.networks.description import Network, Recipe
    from lenet_edge.quantized.model import QuantizedModel
    from lenet_edge.quantized.proof import Proof


@click.command()
@click.option("--int8", is_flag=True, default=True, help="Quantise to int8, the default and the only width.")
@click.option(
    "--weight-bits",
    metavar="BITS",
    default="8",
    show_default=True,
    help="Bits of the weights: 8, 4 or 2 (ternary), or some by layer: C5=2,F6=4. The model stays an int8 model.",
)
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
@common.out_option("build/ARCH-int8.tflite")
@common.json_option
@modules.packed
def quantize(
    int8: bool,
    weight_bits: str,
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

    A float .tflite or .onnx that was trained elsewhere is calibrated on training images of --data, not fine-tuned.
    A PyTorch module (my_net.py:Net) with its --weights is first taken over, as by `train --epochs 0`.
    """
    _refuse_unused(epochs, out, (model, Path(data)))
    _require_a_grid_for(weight_bits, grid)
    settings = {"epochs": epochs, "seed": seed, "device": device, "grid": grid}
    if quantize_module.is_module(model):
        model = quantize_module.checkpoint_of(model, data, module, prepare, transpose)
        out, report = _quantize_trained(model, data, transpose, out, weight_bits, **settings)
    elif model.suffix in quantize_float.SUFFIXES:
        out = out or Path("build") / f"{model.stem}-int8.tflite"
        quantize_float.refuse_training(epochs, model)
        file = quantize_float.FloatFile(model, data, transpose, prepare, images, grid, out)
        report = quantize_float.quantize_file(file)
    else:
        quantize_module.refuse_without_module()
        refuse_given("with a model that `train` left: its pictures and its training are its own", "images")
        prepare.refuse("with a model that `train` left: it records how its pictures are prepared")
        out, report = _quantize_trained(model, data, transpose, out, weight_bits, **settings)
    shown = [*confusion.shown(report.answers, sheet), *tables(out, report)]
    common.show({"out": str(out), **report.content()}, as_json=as_json, tables=lambda: shown)
    return out, report


def _quantize_trained(
    model: Path, data: str, transpose: bool | None, out: Path | None, weight_bits: str, **settings: Any
) -> tuple[Path, Report]:
    from lenet_edge import datasets
    from lenet_edge.learning import checkpoint, training
    from lenet_edge.networks.weight_bits import few_bits

    _require_model(model)
    saved = checkpoint.load(model)
    network = training.network_of(saved)
    bits = few_bits(weight_bits, network.description)
    transpose = picture_options.transposes(data, transpose, saved.metadata.get("transposed"))
    preparation = checkpoint.preparation_of(saved.metadata)
    dataset = datasets.load(data, preparation, transpose=transpose, progress=common.log)
    out = out or Path("build") / f"{saved.metadata['arch']}-int8.tflite"
    report = quantize_to(out, saved, network, dataset, bits=bits, **settings)
    return out, report


def quantize_to(
    out: Path,
    saved: Checkpoint,
    network: TorchNetwork,
    dataset: Dataset,
    *,
    epochs: int | None = None,
    seed: int = 0,
    grid: str = "tie-free",
    device: str = "cpu",
    bits: Mapping[str, int] = MappingProxyType({}),
) -> Report:
    """Quantise a float model and write the result to `out` and next to it.

    Args:
        network: that of the checkpoint `saved`.
        epochs, seed, grid, device: as the command has them.
        bits: of the weights of layers that have other than 8.

    Raises:
        BadInputError: the images or labels are not the network's, or the result cannot be written.
        CheckFailedError: the proof found a disagreement; nothing was written.
    """
    from lenet_edge.learning.quantized_metadata import quantized_metadata

    suited = _suited(dataset, network, saved.metadata["classes"])
    settings = _settings(network.description.recipe, epochs, bits, seed=seed, grid=grid, device=device)
    qat = _train(network, network.description, suited, settings)
    metadata = {**quantized_metadata(saved, dataset), "grid": grid, **({"weight_bits": dict(bits)} if bits else {})}
    frozen = qat.freeze().with_metadata(**metadata)
    report = _report(network, qat, frozen, suited)
    if report.proof is not None and not report.proof.passed:
        raise CheckFailedError(f"the proof found {report.proof.disagreements} disagreements; nothing was written")
    _write(out, qat, report)
    return report


def _require_model(model: Path) -> None:
    """Name what there is where the model that is taken by default is not."""
    context = click.get_current_context()
    if context.get_parameter_source("model") is not click.core.ParameterSource.DEFAULT or model.exists():
        return
    others = sorted(path for path in model.parent.glob("*.safetensors") if len(path.suffixes) == 1)
    if others:
        raise BadInputError(f"{model} is missing; name one of these with --model: {', '.join(map(str, others))}")


def _suited(dataset: Dataset, network: TorchNetwork, classes: Sequence[str]) -> Dataset:
    """The data set with the labels that the network has for its classes.

    Raises:
        BadInputError: its images or labels are not the network's.
    """
    from lenet_edge.datasets import renumbered
    from lenet_edge.quantized.meaning import require_labels

    shape = dataset.train_images.shape[1:]
    if (*shape, 1)[:3] != network.image_shape:
        taken, given = (" x ".join(map(str, sizes)) for sizes in (network.image_shape, (*shape, 1)[:3]))
        raise BadInputError(f"the network takes images of {taken}, and those of {dataset.name} have {given}")
    train, test = (
        renumbered(labels, dataset.class_names, classes) for labels in (dataset.train_labels, dataset.test_labels)
    )
    for labels in (train, test):
        require_labels(labels, network.classes, dataset.name)
    return replace(dataset, train_labels=train, test_labels=test)


def _settings(
    recipe: Recipe, epochs: int | None, bits: Mapping[str, int], *, seed: int, grid: str, device: str
) -> QatSettings:
    from lenet_edge.learning.qat_training import QatSettings, few_bit_schedule

    longer, faster = few_bit_schedule(bits)
    return QatSettings(
        epochs=recipe.quantize_epochs * longer if epochs is None else epochs,
        seed=seed,
        grid=grid,  # type: ignore[arg-type]
        learning_rate=recipe.quantize_learning_rate * faster,
        device=device,
        bits=bits,
    )


def _refuse_unused(epochs: int | None, out: Path | None, inputs: tuple[Path, ...]) -> None:
    """Refuse options without effect, and files that would be written over an input."""
    from lenet_edge.cli.artefacts import qat_weights_of

    if epochs == 0:
        refuse_given("with --epochs 0, which shuffles nothing", "seed")
    if out is not None and out.suffix != ".tflite":
        raise click.UsageError(f"--out {out}: the name must end with .tflite")
    if out is not None:
        common.require_apart([out, qat_weights_of(out), out.with_suffix(".json")], inputs)


def _require_a_grid_for(weight_bits: str, grid: str) -> None:
    if grid == "ordinary" and weight_bits != "8":
        raise click.UsageError("--weight-bits is for the tie-free grid; leave out --grid ordinary")


def _write(out: Path, qat: QatNetwork, report: Report) -> None:
    """The model, and next to it the fine-tuned weights and the report."""
    from lenet_edge.cli.artefacts import qat_weights_of
    from lenet_edge.files import to_json, write_files
    from lenet_edge.formats import tflite
    from lenet_edge.learning import qat_weights

    contents = {
        out.name: tflite.to_bytes(report.frozen),
        qat_weights_of(out).name: qat_weights.to_bytes(qat.weights(report.frozen)),
        out.with_suffix(".json").name: to_json(report.content()).encode(),
    }
    write_files(out.parent, contents)


def _train(network: TorchNetwork, description: Network, dataset: Dataset, settings: QatSettings) -> QatNetwork:
    from lenet_edge.learning import qat_training, training

    with common.progress_bar() as bar:
        task = bar.add_task("calibrating", total=None)

        def report(progress: qat_training.QatProgress) -> None:
            description = f"epoch {progress.epoch + 1} of {settings.epochs}"
            bar.update(task, description=description, completed=progress.batch, total=progress.batches)
            if progress.validation_accuracy is not None:
                common.log(f"{description}: int8 validation accuracy {100 * progress.validation_accuracy:.2f} %")

        return qat_training.quantize(
            network,
            description,
            training.TrainingSet.of(dataset),
            settings,
            report,
        )


def _report(network: TorchNetwork, qat: QatNetwork, frozen: QuantizedModel, dataset: Dataset) -> Report:
    """Proof, accuracies, signal-to-noise per layer."""
    from lenet_edge.learning import training
    from lenet_edge.learning.sqnr import layer_sqnr
    from lenet_edge.parity import compare_with_float
    from lenet_edge.quantized.meaning import meaning_of
    from lenet_edge.quantized.reference import quantize_images, run

    proof = _prove(frozen) if frozen.metadata["grid"] == "tie-free" else None
    images, labels = dataset.test_images, dataset.test_labels
    of_float = training.logits(network, images).argmax(axis=1)
    int8_logits, meaning = run(frozen, quantize_images(images)), meaning_of(frozen)
    said, probabilities = meaning.predictions(int8_logits), meaning.probabilities(int8_logits)
    return Report(
        frozen,
        compare_with_float(of_float, said, labels),
        confusion.Answers(images, labels, probabilities, meaning.classes, dataset.test_files, of_float, said),
        layer_sqnr(qat, dataset.validation_images[:1000]),
        proof,
    )


def _prove(frozen: QuantizedModel) -> Proof:
    from lenet_edge.quantized.proof import prove

    common.log("proving: every accumulator that any image can reach, under every rounding rule ...")
    started = time.perf_counter()
    proof = prove(frozen)
    common.log(f"proved in {time.perf_counter() - started:.1f} s")
    return proof
