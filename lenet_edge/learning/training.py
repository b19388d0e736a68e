"""Float training of a network: deterministic, interruptible, resumable.

AdamW (Loshchilov, Hutter 2019) under a one-cycle schedule (Smith, Topin 2018),
label smoothing, affine distortions. The result is the network after the last
epoch, where the learning rate has come down to almost nothing. An epoch picked
for its validation accuracy is merely the luckiest one on a few thousand images,
often one at a high rate: this once cost 0.3 points on the test set. Validation
is reported; it does not choose.

Everything random comes from generators that are seeded by (seed, epoch), so a
training that goes on from a checkpoint sees the batches that it would have seen
without the interruption.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenet_edge.datasets import LabelArray
from lenet_edge.errors import BadInputError, CheckFailedError
from lenet_edge.learning import checkpoint
from lenet_edge.learning.augmentation import Distortion, augment, distorted
from lenet_edge.learning.checkpoint import Checkpoint
from lenet_edge.learning.lessons import Lessons, View, taught_loss
from lenet_edge.learning.network import TorchNetwork, build, fold, load_tensors, planes, to_tensors
from lenet_edge.learning.partial import History, State, described, partial_path, read_history, restore, save
from lenet_edge.learning.settings import TrainingProgress, TrainingSet, TrainingSettings
from lenet_edge.networks import int8, reader
from lenet_edge.networks.description import ImageShape, Recipe
from lenet_edge.preparation.settings import to_json

__all__ = [
    "History",
    "TrainingProgress",
    "TrainingSet",
    "TrainingSettings",
    "evaluate",
    "load",
    "logits",
    "network_of",
    "one_cycle",
    "partial_path",
    "read_history",
    "train",
]

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
Tensors: TypeAlias = dict[str, npt.NDArray[Any]]

_EVALUATION_BATCH = 1000


@dataclass(frozen=True, eq=False)
class _Data:
    """What is learnt from on the device, the validation set as it came, and the SHA-256 of the training set."""

    images: Tensor  # uint8 [n, c, h, w]
    labels: Tensor  # int64 [n]; of fewer, the first images, where teachers are learnt from
    validation_images: UInt8Array
    validation_labels: LabelArray
    sha256: str
    distortion: Distortion
    class_weights: Tensor | None  # float [classes]


def train(
    data: TrainingSet,
    settings: TrainingSettings,
    partial: Path,
    *,
    resume: bool = False,
    progress: Callable[[TrainingProgress], None] = lambda _: None,
    lessons: Lessons | None = None,
) -> Checkpoint:
    """Train a float network; the weights after the last epoch are the result.

    The same arguments on the same kind of processor with the same number of threads
    give the same weights, bit for bit, whether or not the training was interrupted
    and resumed between epochs.

    Args:
        partial: the partial checkpoint: a checkpoint of the weights so far with
            what `resume` needs; written before the first and after every epoch, and left there.
        resume: go on from the checkpoint at `partial`.
        progress: called after every batch and after every epoch.
        lessons: what the recipe's teachers say (`teaching.lessons_for`); they are learnt instead of the labels.

    Returns:
        Tensors and metadata of the final checkpoint, for `checkpoint.save`.

    Raises:
        BadInputError: an argument makes no sense, the partial checkpoint does not fit the
            arguments, or it cannot be written.
        CheckFailedError: the training diverged.
    """
    _check_arguments(data, settings, lessons)
    images = data.images if lessons is None else data.images_for_pupils
    prepared = _prepare(data, images, settings, _usable_device(settings.device))
    metadata = _metadata(settings, data.image_shape, prepared.sha256, lessons)
    state = _start(settings, prepared)
    if resume:
        restore(state, partial, metadata)
    else:
        save(partial, state, metadata)
    for epoch in range(len(state.history) + 1, settings.epochs_in_all + 1):
        view = None if lessons is None else lessons.view(epoch - 1)
        _epoch(state, prepared, view, (epoch, settings.epochs_in_all, settings.seed), progress)
        save(partial, state, metadata)
    return Checkpoint(to_tensors(fold(state.result)), described(state, metadata))


def load(path: Path) -> TorchNetwork:
    """The float network of a checkpoint file, on the CPU.

    Raises:
        BadInputError: the file is missing, damaged, or of another network.
    """
    return network_of(checkpoint.load(path))


def network_of(saved: checkpoint.Checkpoint) -> TorchNetwork:
    """The float network of a checkpoint, on the CPU."""
    model = build(*checkpoint.description(saved.metadata))
    load_tensors(model, saved.tensors)
    return model.eval()


def logits(model: nn.Module, images: UInt8Array) -> npt.NDArray[np.float32]:
    """Images uint8 ``[n, h, w]`` or ``[n, h, w, 3]`` to logits float32 ``[n, classes]``, where `model` is."""
    device = next(model.parameters()).device
    with torch.no_grad():
        batches = torch.split(planes(images), _EVALUATION_BATCH)
        return torch.cat([model(batch.to(device).float() / 255).cpu() for batch in batches]).numpy()


def evaluate(model: nn.Module, images: UInt8Array, labels: LabelArray) -> float:
    """The share (0..1) of images uint8 ``[n, h, w]`` or ``[n, h, w, 3]`` whose largest logit is that of their label."""
    return float((logits(model, images).argmax(axis=1) == labels).mean())


def one_cycle(progress: float, peak: float) -> tuple[float, float]:
    """Learning rate and momentum (AdamW's beta 1) of the one-cycle schedule.

    The rate rises from peak/25 over the first 30 % and then falls to
    peak/250,000, both along half a cosine; the momentum goes the opposite way
    between 0.95 and 0.85. The same as `torch.optim.lr_scheduler.OneCycleLR`,
    as a function, so that there is no state to save.

    Args:
        progress: 0 at the first step, 1 at the last.
        peak: the highest learning rate.
    """
    if progress < 0.3:
        part, start, end, momentum = progress / 0.3, peak / 25, peak, (0.95, 0.85)
    else:
        part, start, end, momentum = (progress - 0.3) / 0.7, peak, peak / 250_000, (0.85, 0.95)
    weight = (1 - math.cos(math.pi * part)) / 2
    return start + (end - start) * weight, momentum[0] + (momentum[1] - momentum[0]) * weight


# --- one epoch --------------------------------------------------------------------------------------


def _epoch(
    state: State,
    data: _Data,
    view: View | None,
    place: tuple[int, int, int],
    progress: Callable[[TrainingProgress], None],
) -> None:
    """Train for one epoch and note how it went; `place` is (epoch, epochs, seed)."""
    epoch, epochs, seed = place
    generator = _generator(seed, epoch)
    chunks = _batches(len(data.images), state.recipe, generator)
    last_step = max(1, epochs * len(chunks) - 1)
    total, seen = 0.0, 0
    state.model.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())  # what dropout draws from
        for batch, chunk in enumerate(chunks):
            done = (epoch - 1) * len(chunks) + batch
            chosen = chunk.to(data.images.device)
            _set_schedule(state.optimizer, *one_cycle(done / last_step, state.recipe.learning_rate))
            loss = _loss(state, data, chosen, generator) if view is None else _taught_loss(state, data, chosen, view)
            total += _step(state, loss) * len(chosen)
            seen += len(chosen)
            progress(TrainingProgress(epoch, epochs, batch + 1, len(chunks), total / seen, None))
    if not math.isfinite(total):
        raise CheckFailedError(
            f"The training diverged in epoch {epoch}: the loss is not finite. The weights before that epoch are in "
            "the partial checkpoint; try another --seed."
        )
    state.model.eval()
    state.validation_accuracy = evaluate(state.result, data.validation_images, data.validation_labels)
    state.history.append((total / seen, state.validation_accuracy))
    place_now = (epoch, epochs, len(chunks), len(chunks))
    progress(TrainingProgress(*place_now, total / seen, state.validation_accuracy))


def _batches(count: int, recipe: Recipe, generator: torch.Generator) -> list[Tensor]:
    """The images of each step of an epoch: all of them in random order, of a small data set several times over.

    So an epoch has at least about the recipe's `least_steps`, and its epochs mean the same to a folder of two
    thousand pictures as to MNIST. A batch of one image is left out: nothing can be normalised over it.
    """
    rounds = max(1, round(recipe.least_steps / math.ceil(count / recipe.batch)))
    parts = [
        part for _ in range(rounds) for part in torch.split(torch.randperm(count, generator=generator), recipe.batch)
    ]
    return [part for part in parts if len(part) > 1] or parts


def _loss(state: State, data: _Data, chosen: Tensor, generator: torch.Generator) -> Tensor:
    """How far the answers to the images of these numbers, distorted, are from their labels."""
    images, labels = data.images[chosen], data.labels[chosen]
    batch = augment(images.float() / 255, generator, data.distortion).contiguous(memory_format=torch.channels_last)
    smoothing = state.recipe.label_smoothing
    return F.cross_entropy(state.model(batch), labels, weight=data.class_weights, label_smoothing=smoothing)


def _taught_loss(state: State, data: _Data, chosen: Tensor, view: View) -> Tensor:
    """How far they are from what the teachers say of the same distorted images."""
    numbers = chosen.cpu()
    batch = distorted(data.images[chosen].float() / 255, view.drawn[numbers], data.distortion)
    return taught_loss(state.model(batch.contiguous(memory_format=torch.channels_last)), view.said[numbers])


def _step(state: State, loss: Tensor) -> float:
    """One step of the optimiser; returns the loss."""
    state.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    state.optimizer.step()
    state.follow()
    return loss.item()


def _set_schedule(optimizer: torch.optim.AdamW, learning_rate: float, momentum: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
        group["betas"] = (momentum, group["betas"][1])


def _generator(seed: int, epoch: int) -> torch.Generator:
    """Of the CPU; epoch 0 draws the initial weights."""
    mixed = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(mixed))


# --- before the first epoch -------------------------------------------------------------------------


def _check_arguments(data: TrainingSet, settings: TrainingSettings, lessons: Lessons | None) -> None:
    epochs, seed, classes = settings.epochs_in_all, settings.seed, len(settings.classes)
    least = 1 if settings.initial is None else 0
    if epochs < least or seed < 0:
        raise BadInputError(f"epochs must be at least {least} and the seed at least 0; got {epochs} and {seed}.")
    if (lessons is None) != (settings.network.recipe.teacher is None):
        raise ValueError("lessons are for a recipe with a teacher, and needed there")
    if lessons is not None and settings.class_weights:
        raise BadInputError("class weights count labels, and this recipe's teachers are learnt from instead.")
    sets = {
        "training": (data.images, data.labels),
        "validation": (data.validation_images, data.validation_labels),
    }
    for name, (images, labels) in sets.items():
        fits = images.ndim in (3, 4) and images.shape == (len(labels), *data.images.shape[1:])
        if images.dtype != np.uint8 or not fits or images.shape[3:] not in ((), (3,)) or not len(labels):
            raise BadInputError(
                f"the {name} set must be uint8 images [n, h, w] or [n, h, w, 3] with n > 0 labels; "
                f"got {images.dtype} {list(images.shape)} and {len(labels)} labels."
            )
        if labels.max() >= classes:
            raise BadInputError(f"the {name} set has label {labels.max()}, but there are {classes} classes.")
    int8.require_int8(settings.network, data.image_shape, classes)  # nothing is trained that could not be quantised


def _usable_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # what torch raises, by kind of device
        reason = str(error).splitlines()[0]
        raise BadInputError(f"torch cannot use the device {name!r} here: {reason} Use --device cpu.") from None
    return device


def _prepare(data: TrainingSet, images: UInt8Array, settings: TrainingSettings, device: torch.device) -> _Data:
    pixels = planes(images).to(device)
    targets = torch.from_numpy(data.labels.astype(np.int64)).to(device)
    weights = _class_weights(data.labels, len(settings.classes)).to(device) if settings.class_weights else None
    validation = data.validation_images, data.validation_labels
    distortion = Distortion.of(settings.network.recipe, data.images)
    return _Data(pixels, targets, *validation, data.sha256, distortion, weights)


def _class_weights(labels: LabelArray, classes: int) -> Tensor:
    """Weights of the loss ``[classes]`` with which each class counts the same; their mean over the images is 1."""
    counts = np.bincount(labels, minlength=classes)
    return torch.from_numpy(len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).float()


def _metadata(
    settings: TrainingSettings, image_shape: ImageShape, data_sha256: str, lessons: Lessons | None
) -> dict[str, Any]:
    """What a training is known by: one that goes on must have the same."""
    return {
        "kind": "float",
        "arch": settings.network.name,
        "network": reader.to_json(settings.network),
        "image_shape": list(image_shape),
        "preparation": to_json(settings.preparation),
        "classes": list(settings.classes),
        "dataset": settings.dataset,
        "data_sha256": data_sha256,
        "epochs": settings.epochs_in_all,
        "seed": settings.seed,
        **({"transposed": True} if settings.transposed else {}),
        **({} if settings.initial is None else {"initial_sha256": _digest(settings.initial)}),
        **({} if lessons is None else {"lessons": lessons.digest}),
        "recipe": {
            **asdict(settings.network.recipe),
            "class_weights": settings.class_weights,
            "kept_epoch": "last",
        },
    }


def _digest(tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(tensors.items()):
        digest.update(f"{name}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def _start(settings: TrainingSettings, data: _Data) -> State:
    """The state before the first epoch."""
    recipe, (_, channels, height, width) = settings.network.recipe, data.images.shape
    model = build(settings.network, (height, width, channels), len(settings.classes))
    model.initialize(recipe.initial_gain, _generator(settings.seed, 0))
    if settings.initial is not None:
        load_tensors(model, to_tensors(model) | dict(settings.initial))
    # NHWC in memory: a step takes 40 % less time on a CPU.
    model.to(data.images.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    # The fused form is several times faster for so many small tensors.
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=recipe.weight_decay, fused=True)
    accuracy = evaluate(model.eval(), data.validation_images, data.validation_labels)
    average = copy.deepcopy(model) if recipe.averaging else None
    return State(model, optimizer, recipe, accuracy, average)
