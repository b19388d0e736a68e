"""`lenet-edge train`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import RenderableType
from rich.progress import Progress

from lenet_edge.cli import common, confusion, modules, options, picture_options
from lenet_edge.cli.drawing import Curve, Curves
from lenet_edge.cli.places import require_place

if TYPE_CHECKING:
    from lenet_edge.datasets import Dataset
    from lenet_edge.learning.checkpoint import Checkpoint
    from lenet_edge.learning.training import History, TrainingProgress, TrainingSettings
    from lenet_edge.networks.description import Network
    from lenet_edge.preparation.request import PreparationRequest


@dataclass(frozen=True)
class TrainOptions:
    """How a network is trained, as the options of the same names have it."""

    module: modules.ModuleOptions
    request: PreparationRequest
    transpose: bool | None = None
    epochs: int | None = None
    seed: int = 0
    device: str = "cpu"
    class_weights: bool = False
    resume: bool = False
    augmentation: bool = True


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training gives.

    Attributes:
        out: the file of the checkpoint.
        answers: those of the float network on the test images.
    """

    out: Path
    checkpoint: Checkpoint
    history: History
    answers: confusion.Answers

    def content(self) -> dict[str, object]:
        """The JSON object."""
        return {
            "out": str(self.out),
            "test_accuracy": self.answers.accuracy,
            **self.checkpoint.metadata,
            "history": [{"loss": loss, "validation_accuracy": accuracy} for loss, accuracy in self.history],
            "confusion": asdict(self.answers.recorded()),
        }


@click.command()
@modules.network_option(modules.NetworkType())
@modules.recipe_option
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
@click.option(
    "--no-augmentation",
    is_flag=True,
    help="Learn from the images as they are, in quantize too; without it, what the network's recipe says.",
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also draw loss and validation accuracy over the epochs, as an .svg or a .png. Needs matplotlib.",
)
@confusion.sheet_option
@common.out_option("build/NETWORK.safetensors")
@common.json_option
@modules.packed
def train(
    network: Network | str,
    recipe: str | None,
    module: modules.ModuleOptions,
    data: str,
    transpose: bool | None,
    request: PreparationRequest,
    epochs: int | None,
    seed: int,
    device: str,
    class_weights: bool,
    no_augmentation: bool,
    resume: bool,
    plot: Path | None,
    sheet: Path | None,
    out: Path | None,
    as_json: bool,
) -> Trained:
    """Train a network in float.

    The size of its images and the number of its classes are those of the data. The network after the
    last epoch is the result. The validation set (the last twelfth of the training set where the data
    names none: 5,000 of MNIST's 60,000) is only reported and chooses nothing; the test set is used
    once, at the end. An interrupted run leaves OUT with the ending
    .partial.safetensors: a checkpoint like any other, from which --resume continues.
    """
    refuse_what_has_no_effect(network, epochs)
    network = modules.with_recipe(network, recipe)
    if plot is not None:
        from lenet_edge.report import require_plot

        require_plot(plot)
    how = (epochs, seed, device, class_weights, resume, not no_augmentation)
    chosen = TrainOptions(module, request, transpose, *how)
    trained = train_network(network, data, chosen, out)
    if plot is not None:
        _write_plot(plot, trained)
    shown = confusion.shown(trained.answers, sheet)
    common.show(trained.content(), as_json=as_json, tables=lambda: [*shown, *_lines(trained)])
    return trained


def train_network(network: Network | str, data: str, chosen: TrainOptions, out: Path | None) -> Trained:
    """Train on a data set as it is named, write the checkpoint, and classify the test images.

    Args:
        network: its description, or what identifies a PyTorch module.
        out: where to write; None: ``build/NETWORK.safetensors``.

    Raises:
        BadInputError: the data cannot be read, or do not suit the network.
        CheckFailedError: the training diverged.
    """
    from lenet_edge.learning import training  # not for a usage error: torch takes seconds

    dataset = load_data(data, chosen.request, network, transpose=picture_options.transposes(data, chosen.transpose))
    initial = None
    if isinstance(network, str):
        sizes = (dataset.image_shape, len(dataset.class_names), chosen.seed)
        network, initial = modules.taken_over(network, chosen.module, *sizes)
    if not chosen.augmentation:
        network = replace(network, recipe=replace(network.recipe, augmentation=False))
    how = (chosen.epochs, chosen.seed, chosen.device, dataset.preparation, chosen.class_weights)
    settings = training.TrainingSettings(network, dataset.class_names, dataset.name, *how, initial, dataset.transposed)
    out = out or Path("build") / f"{network.name}.safetensors"
    with _saying_how_to_go_on(training.partial_path(out)):
        checkpoint, history = train_to(out, dataset, settings, resume=chosen.resume)
    return Trained(out, checkpoint, history, _answers(checkpoint, dataset))


@contextmanager
def _saying_how_to_go_on(partial: Path) -> Iterator[None]:
    """Where one interrupts a training of hours, that it is not lost."""
    try:
        yield
    except KeyboardInterrupt:
        if partial.exists():
            common.log(f"the epochs that were finished are in {partial}: the same command with --resume goes on")
        raise


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


def train_to(out: Path, dataset: Dataset, settings: TrainingSettings, *, resume: bool) -> tuple[Checkpoint, History]:
    """Train, with the partial checkpoint next to `out`, and write the result there.

    Returns:
        The result, and how each epoch went, those before an interruption among them.
    """
    from lenet_edge.learning import checkpoint, teaching, training

    # What is not a file, such as /dev/null, has no file next to it.
    special = out.exists() and not out.is_file()
    partial = training.partial_path(Path("build") / f"{settings.network.name}.safetensors" if special else out)
    for place in (out, partial):
        require_place(place)
    if partial.exists() and not resume:
        common.log(f"starting again: {partial}, left by an interrupted run, is replaced (--resume would continue it)")
    data = training.TrainingSet.of(dataset)
    with common.progress_bar() as bar:
        show = _Bar(bar)
        how = teaching.Teaching(device=settings.device, say=common.log, progress=show)
        lessons = teaching.lessons_for(settings.network.recipe, data, settings.classes, settings.dataset, how)
        trained = training.train(data, settings, partial, resume=resume, progress=show, lessons=lessons)
    history = training.read_history(partial)
    checkpoint.save(out, trained.tensors, trained.metadata)
    partial.unlink(missing_ok=True)
    return trained, history


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


def _lines(trained: Trained) -> list[RenderableType]:
    facts = trained.checkpoint.metadata
    return [
        Curves(
            Curve("loss", [loss for loss, _ in trained.history], "{:.4f}"),
            Curve("validation accuracy", [100 * accuracy for _, accuracy in trained.history], "{:.2f} %"),
        ),
        f"test accuracy {100 * trained.answers.accuracy:.2f} % (validation "
        f"{100 * facts['validation_accuracy']:.2f} %), after epoch {facts['epochs_done']}",
        f"{trained.out}: {facts['arch']} on {facts['dataset']}",
    ]


def _write_plot(path: Path, trained: Trained) -> None:
    from lenet_edge.files import write_file
    from lenet_edge.report import draw_training

    facts = trained.checkpoint.metadata
    write_file(path, draw_training(trained.history, f"{facts['arch']} on {facts['dataset']}", path))
    common.log(f"{path}: loss and validation accuracy of epochs 1 to {len(trained.history)}")
