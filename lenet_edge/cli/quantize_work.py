"""The work of `quantize` on a model that `train` left: training on the grid, proof, accuracies, files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from lenet_edge.cli import common, confusion
from lenet_edge.cli.quantize_report import Report
from lenet_edge.errors import BadInputError, CheckFailedError

if TYPE_CHECKING:
    from lenet_edge.datasets import Dataset
    from lenet_edge.learning.checkpoint import Checkpoint
    from lenet_edge.learning.network import TorchNetwork
    from lenet_edge.learning.qat_network import QatNetwork
    from lenet_edge.learning.qat_training import QatSettings
    from lenet_edge.networks.description import Recipe
    from lenet_edge.quantized.model import QuantizedModel
    from lenet_edge.quantized.proof import Proof

__all__ = ["frozen_of", "quantize_to", "reported", "require_proof", "settings_of", "suited_to", "train", "write"]


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
    suited = suited_to(dataset, network, saved.metadata["classes"])
    settings = settings_of(network.description.recipe, epochs, bits, seed=seed, grid=grid, device=device)
    qat = train(network, saved, suited, settings)
    frozen = frozen_of(qat, saved, dataset, grid, bits)
    report = reported(network, qat, frozen, suited)
    require_proof(report)
    write(out, qat, report)
    return report


def frozen_of(
    qat: QatNetwork, saved: Checkpoint, dataset: Dataset, grid: str, bits: Mapping[str, int]
) -> QuantizedModel:
    """The integers, with what is known of them.

    Args:
        bits: of the weights of layers that have other than 8.
    """
    from lenet_edge.learning.quantized_metadata import quantized_metadata

    metadata = {**quantized_metadata(saved, dataset), "grid": grid, **({"weight_bits": dict(bits)} if bits else {})}
    return qat.freeze().with_metadata(**metadata)


def require_proof(report: Report) -> None:
    """Refuse a model that was disproved.

    Raises:
        CheckFailedError: the proof found a disagreement.
    """
    if report.proof is not None and not report.proof.passed:
        raise CheckFailedError(f"the proof found {report.proof.disagreements} disagreements; nothing was written")


def suited_to(dataset: Dataset, network: TorchNetwork, classes: Sequence[str]) -> Dataset:
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


def settings_of(
    recipe: Recipe, epochs: int | None, bits: Mapping[str, int], *, seed: int, grid: str, device: str
) -> QatSettings:
    """What the command was told, or else what the network's recipe has; `bits` of layers that have other than 8."""
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


def write(out: Path, qat: QatNetwork, report: Report, others: Mapping[str, bytes] = MappingProxyType({})) -> None:
    """The model, and next to it the fine-tuned weights, the report, and other files by their names."""
    from lenet_edge.cli.artefacts import qat_weights_of
    from lenet_edge.files import to_json, write_files
    from lenet_edge.formats import tflite
    from lenet_edge.learning import qat_weights

    contents = {
        **others,
        out.name: tflite.to_bytes(report.frozen),
        qat_weights_of(out).name: qat_weights.to_bytes(qat.weights(report.frozen)),
        out.with_suffix(".json").name: to_json(report.content()).encode(),
    }
    write_files(out.parent, contents)


def train(network: TorchNetwork, saved: Checkpoint, dataset: Dataset, settings: QatSettings) -> QatNetwork:
    """The fine-tuned network of a checkpoint, taught as its recipe says; how far it is, is shown on stderr."""
    from lenet_edge.learning import qat_training, teaching, training

    data, lessons = training.TrainingSet.of(dataset), None
    with common.progress_bar() as bar:
        task = bar.add_task("calibrating", total=None)

        def report(progress: qat_training.QatProgress) -> None:
            description = f"epoch {progress.epoch + 1} of {settings.epochs}"
            bar.update(task, description=description, completed=progress.batch, total=progress.batches)
            if progress.validation_accuracy is not None:
                common.log(f"{description}: int8 validation accuracy {100 * progress.validation_accuracy:.2f} %")

        if settings.epochs:
            how = teaching.Teaching(device=settings.device, say=common.log)
            names = saved.metadata["classes"], saved.metadata["dataset"]
            lessons = teaching.lessons_for(network.description.recipe, data, *names, how)
        return qat_training.quantize(network, network.description, data, settings, report, lessons)


def reported(network: TorchNetwork, qat: QatNetwork, frozen: QuantizedModel, dataset: Dataset) -> Report:
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
