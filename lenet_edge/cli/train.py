"""`lenet-edge train`."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import Progress
from rich.table import Table

from lenet_edge.cli import common, confusion, modules, options, picture_options

if TYPE_CHECKING:
    from lenet_edge.datasets import Dataset
    from lenet_edge.learning.checkpoint import Checkpoint
    from lenet_edge.learning.training import TrainingProgress, TrainingSettings
    from lenet_edge.networks.description import Network
    from lenet_edge.preparation.request import PreparationRequest


@click.command()
@modules.network_option(modules.NetworkType())
@modules.module_options
@common.data_option
@picture_options.transpose_option
@picture_options.requested
@click.option(
    "--epochs",
    type=click.IntRange(0, common.EPOCHS_MAX),
    help="Epochs of training.  [default: the network's]",
)
@click.option(
    "--seed",
    type=common.SEED,
    default=0,
    show_default=True,
    help="Same seed, same weights, on the same kind of processor with the same number of threads.",
)
@click.option("--device", default="cpu", show_default=True, help="The torch device: cpu, cuda, mps.")
@click.option(
    "--class-weights",
    is_flag=True,
    help="Let all classes count the same: the rarer its class, the more an image counts.",
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run.")
@confusion.sheet_option
@common.out_option("build/NETWORK.safetensors")
@common.json_option
@modules.packed
def train(
    network: Network | str,
    module: modules.ModuleOptions,
    data: str,
    transpose: bool | None,
    request: PreparationRequest,
    epochs: int | None,
    seed: int,
    device: str,
    class_weights: bool,
    resume: bool,
    sheet: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Train a network in float.

    The size of its images and the number of its classes are those of the data. The network after the
    last epoch is the result. The validation set (the last twelfth of the training set where the data
    names none: 5,000 of MNIST's 60,000) is only reported and chooses nothing; the test set is used
    once, at the end. An interrupted run leaves OUT with the ending
    .partial.safetensors: a checkpoint like any other, from which --resume continues.
    """
    refuse_what_has_no_effect(network, epochs)
    from lenet_edge.learning import training  # not for a usage error: torch takes seconds

    dataset = load_data(data, request, network, transpose=picture_options.transposes(data, transpose))
    initial = None
    if isinstance(network, str):
        network, initial = modules.taken_over(network, module, dataset.image_shape, len(dataset.class_names), seed)
    given = (epochs, seed, device, dataset.preparation, class_weights, initial, dataset.transposed)
    settings = training.TrainingSettings(network, dataset.class_names, dataset.name, *given)
    out = out or Path("build") / f"{network.name}.safetensors"
    trained = train_to(out, dataset, settings, resume=resume)
    answers = _answers(trained, dataset)
    shown, matrix = confusion.shown(answers, sheet), asdict(answers.recorded())
    result = {"out": str(out), "test_accuracy": answers.accuracy, **trained.metadata, "confusion": matrix}
    common.show(result, as_json=as_json, tables=lambda: [*shown, *_lines(out, answers.accuracy, trained)])


def load_data(data: str, request: PreparationRequest, network: Network | str, *, transpose: bool = False) -> Dataset:
    """The data, in images of the size that is asked for, or else of the network's where it has one."""
    from lenet_edge import datasets

    if not isinstance(network, str) and network.input is not None:
        height, width, channels = network.input
        request = replace(
            request,
            height=request.height or height,
            width=request.width or width,
            channels=request.channels or channels,
        )
    return datasets.load(data, request, transpose=transpose, progress=common.log)


def train_to(out: Path, dataset: Dataset, settings: TrainingSettings, *, resume: bool) -> Checkpoint:
    """Train, with the partial checkpoint next to `out`, and write the result there."""
    from lenet_edge.learning import checkpoint, training

    # What is not a file, such as /dev/null, has no file next to it.
    special = out.exists() and not out.is_file()
    partial = training.partial_path(Path("build") / f"{settings.network.name}.safetensors" if special else out)
    if partial.exists() and not resume:
        common.log(f"starting again: {partial}, left by an interrupted run, is replaced (--resume would continue it)")
    data = training.TrainingSet.of(dataset)
    with common.progress_bar() as bar:
        trained = training.train(data, settings, partial, resume=resume, progress=_Bar(bar))
    checkpoint.save(out, trained.tensors, trained.metadata)
    partial.unlink(missing_ok=True)
    return trained


def _answers(trained: Checkpoint, dataset: Dataset) -> confusion.Answers:
    """What the float network says of the test images."""
    import numpy as np

    from lenet_edge.learning import training

    logits = training.logits(training.network_of(trained), dataset.test_images).astype(np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    images, labels, names = dataset.test_images, dataset.test_labels, dataset.class_names
    return confusion.Answers(images, labels, probabilities, names, dataset.test_files)


def refuse_what_has_no_effect(network: Network | str, epochs: int | None) -> None:
    """Refuse options that have no effect with this network."""
    if not isinstance(network, str):
        options.refuse_given("without a PyTorch module (--network my_net.py:Net)", "weights", "mean", "std")
    if epochs == 0 and not options.given("weights"):
        raise click.UsageError("--epochs 0 trains nothing, so it needs a PyTorch module's --weights")


class _Bar:
    """Draws the progress of a training: a bar per epoch, a line after each."""

    def __init__(self, bar: Progress) -> None:
        self._bar, self._task = bar, bar.add_task("training", total=None)

    def __call__(self, progress: TrainingProgress) -> None:
        epoch = f"epoch {progress.epoch} of {progress.epochs}"
        self._bar.update(self._task, description=epoch, completed=progress.batch, total=progress.batches)
        if progress.validation_accuracy is not None:
            accuracy = f"validation accuracy {100 * progress.validation_accuracy:.2f} %"
            common.log(f"{epoch}: loss {progress.loss:.4f}, {accuracy}")


def _lines(out: Path, test_accuracy: float, trained: Checkpoint) -> list[Table | str]:
    facts = trained.metadata
    return [
        f"test accuracy {100 * test_accuracy:.2f} % (validation "
        f"{100 * facts['validation_accuracy']:.2f} %), after {facts['epochs_done']} epochs",
        f"{out}: {facts['arch']} on {facts['dataset']}",
    ]
