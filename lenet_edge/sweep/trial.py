"""A trial: a configuration's network is trained and quantised, and judged on the validation set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lenet_edge.datasets import Dataset
from lenet_edge.errors import BadInputError, CheckFailedError
from lenet_edge.files import to_json, write_files
from lenet_edge.formats import tflite
from lenet_edge.learning import checkpoint, qat_training, qat_weights, training
from lenet_edge.learning.checkpoint import Checkpoint
from lenet_edge.learning.qat_training import QatSettings
from lenet_edge.learning.quantized_metadata import quantized_metadata
from lenet_edge.learning.teaching import Teaching, lessons_for
from lenet_edge.networks import int8
from lenet_edge.networks.description import Network
from lenet_edge.networks.weight_bits import few_bits
from lenet_edge.quantized.accuracy import accuracy_of
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.proof import prove
from lenet_edge.sweep.space import Configuration, Space

__all__ = ["TrialResult", "require_networks", "run_trial", "test_model"]


@dataclass(frozen=True)
class TrialResult:
    """What a trial gives.

    Attributes:
        float_validation_accuracy, validation_accuracy: of the float network and of the int8 model, 0..1.
        model: the int8 model; its file is `file`.
    """

    float_validation_accuracy: float
    validation_accuracy: float
    model: QuantizedModel
    file: Path


def require_networks(space: Space, dataset: Dataset) -> None:
    """Hold, before the first trial, that every network can take these images and be quantised.

    Raises:
        BadInputError: one cannot.
    """
    for network in space.networks.values():
        int8.require_int8(network, dataset.image_shape, len(dataset.class_names))


def run_trial(
    space: Space,
    configuration: Configuration,
    dataset: Dataset,
    folder: Path,
    device: str,
    say: Callable[[str], None],
) -> TrialResult:
    """Train and quantise in a folder of its own, which has afterwards what `train` and `quantize` leave.

    The test set is not looked at.

    Raises:
        BadInputError: the folder cannot be written, or the images do not suit.
        CheckFailedError: the training diverged, or the proof found a disagreement.
    """
    network = space.network(configuration)
    saved = _train(network, configuration, dataset, folder / f"{network.name}.safetensors", device, say)
    model, weights = _quantize(saved, configuration, dataset, device, say)
    found = TrialResult(
        saved.metadata["validation_accuracy"],
        accuracy_of(model, dataset.validation_images, dataset.validation_labels),
        model,
        folder / f"{network.name}-int8.tflite",
    )
    facts = {
        "configuration": dict(configuration.values),
        "fingerprint": model.fingerprint,
        "float_validation_accuracy": found.float_validation_accuracy,
        "validation_accuracy": found.validation_accuracy,
    }
    contents = {
        found.file.name: tflite.to_bytes(model),
        found.file.with_suffix(".qat.safetensors").name: weights,
        "trial.json": to_json(facts).encode(),
    }
    write_files(folder, contents)
    return found


def test_model(file: Path, fingerprint: str, dataset: Dataset) -> dict[str, float]:
    """The accuracy (0..1) of a trial's float and int8 model on the test set.

    Raises:
        BadInputError: the files are not there, or are not those of the trial.
    """
    model = tflite.read(file)
    if model.fingerprint != fingerprint:
        raise BadInputError(f"{file} is another model than the one that the study has of this trial")
    network = training.load(file.with_name(f"{file.stem.removesuffix('-int8')}.safetensors"))
    return {
        "float_accuracy": training.evaluate(network, dataset.test_images, dataset.test_labels),
        "int8_accuracy": accuracy_of(model, dataset.test_images, dataset.test_labels),
    }


# --- train and quantize ---------------------------------------------------------------------------


def _train(
    network: Network, configuration: Configuration, dataset: Dataset, out: Path, device: str, say: Callable[[str], None]
) -> Checkpoint:
    """The float network, as its file has it."""
    settings = training.TrainingSettings(
        network,
        dataset.class_names,
        dataset.name,
        seed=configuration.seed,
        device=device,
        preparation=dataset.preparation,
        class_weights=bool(configuration.values.get("class_weights", False)),
        transposed=dataset.transposed,
    )

    def report(progress: training.TrainingProgress) -> None:
        if progress.validation_accuracy is not None:
            accuracy = f"validation accuracy {100 * progress.validation_accuracy:.2f} %"
            say(f"epoch {progress.epoch} of {progress.epochs}: loss {progress.loss:.4f}, {accuracy}")

    partial = training.partial_path(out)
    data, recipe = training.TrainingSet.of(dataset, validation_chooses=True), network.recipe
    lessons = lessons_for(recipe, data, dataset.class_names, dataset.name, Teaching(device=device, say=say))
    trained = training.train(data, settings, partial, progress=report, lessons=lessons)
    checkpoint.save(out, trained.tensors, trained.metadata)
    partial.unlink(missing_ok=True)
    return checkpoint.load(out)


def _quantize(
    saved: Checkpoint, configuration: Configuration, dataset: Dataset, device: str, say: Callable[[str], None]
) -> tuple[QuantizedModel, bytes]:
    """The int8 model, proved where its grid has a proof, and the file of its fine-tuned weights."""
    network = training.network_of(saved)
    recipe = network.description.recipe
    grid = cast(Any, configuration.values.get("grid", "tie-free"))
    bits = few_bits(str(configuration.values.get("weight_bits", 8)), network.description)
    longer, faster = qat_training.few_bit_schedule(bits)
    settings = QatSettings(
        epochs=recipe.quantize_epochs * longer,
        seed=configuration.seed,
        grid=grid,
        learning_rate=recipe.quantize_learning_rate * faster,
        device=device,
        bits=bits,
    )

    def report(progress: qat_training.QatProgress) -> None:
        if progress.validation_accuracy is not None:
            accuracy = f"int8 validation accuracy {100 * progress.validation_accuracy:.2f} %"
            say(f"quantize, epoch {progress.epoch + 1} of {settings.epochs}: {accuracy}")

    data = training.TrainingSet.of(dataset, validation_chooses=True)
    names = saved.metadata["classes"], saved.metadata["dataset"]
    lessons = lessons_for(recipe, data, *names, Teaching(device=device, say=say)) if settings.epochs else None
    qat = qat_training.quantize(network, network.description, data, settings, report, lessons)
    facts = {**quantized_metadata(saved, dataset), "grid": grid, **({"weight_bits": bits} if bits else {})}
    model = qat.freeze().with_metadata(**facts)
    if grid == "tie-free" and not (proof := prove(model)).passed:
        raise CheckFailedError(f"the proof found {proof.disagreements} disagreements")
    return model, qat_weights.to_bytes(qat.weights(model))
