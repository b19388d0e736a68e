"""Quantisation-aware training: a float LeNet-5 becomes a `QuantizedModel`.

The ranges of the activations are averages of batch maxima: over calibration
batches first, then over the batches of the first half of the training, during
which scales are refitted. Then scales and q are frozen and the weights go on
training on the exact grid that the chip will use. The float network teaches:
its outputs are part of the loss (Hinton, Vinyals, Dean 2015, "Distilling the
knowledge in a neural network").
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from lenet_edge.learning.augmentation import Distortion, augment, distorted
from lenet_edge.learning.lessons import Lessons, taught_loss
from lenet_edge.learning.network import TorchNetwork, planes
from lenet_edge.learning.qat_network import QatNetwork
from lenet_edge.learning.qat_step import Grid
from lenet_edge.learning.settings import TrainingSet
from lenet_edge.networks.description import Network

__all__ = ["QatProgress", "QatSettings", "few_bit_schedule", "frozen_after", "quantize"]

Loss: TypeAlias = Callable[[QatNetwork, int, Tensor, torch.Generator], Tensor]
"""Of the int8 network in an epoch, on the images of these numbers; the generator is for distortions."""

_CALIBRATION_IMAGES = 4096
_REFIT_STEPS = 100


@dataclass(frozen=True)
class QatSettings:
    """How `quantize` trains.

    Attributes:
        epochs: 0 is post-training quantisation: calibration alone.
        seed: of batches and augmentation.
        grid: "tie-free" or "ordinary".
        learning_rate: AdamW's at the start; it falls to 0 along a cosine.
        device: of torch.
        bits: of the weights of layers that have other than 8.
    """

    epochs: int = 4
    seed: int = 0
    grid: Grid = "tie-free"
    learning_rate: float = 5e-4
    batch: int = 128
    device: str = "cpu"
    bits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class QatProgress:
    """Where the training is: after a batch, or after an epoch with its validation accuracy (0..1)."""

    epoch: int
    batch: int
    batches: int
    validation_accuracy: float | None = None


def few_bit_schedule(bits: Mapping[str, int]) -> tuple[int, int]:
    """How many times the epochs, and the learning rate, that 8 bits take are right for weights of few bits."""
    return (4, 4) if bits else (1, 1)


def frozen_after(epochs: int, batches: int, bits: Mapping[str, int]) -> int:
    """How many steps are trained before scales are frozen.

    With 8 bits that is half of the epochs. Steps of few bits learn only until then, so that they get three quarters of
    the epochs, and half of all steps where there is one epoch. One step at least is trained on the frozen grid.

    Args:
        epochs: 1 or more.
        batches: steps of an epoch.
        bits: of the weights of layers; those of 8 learn no steps.
    """
    if all(each == 8 for each in bits.values()):
        return epochs // 2 * batches
    steps = epochs * batches
    return min(max(epochs * 3 // 4 * batches, math.ceil(steps / 2)), steps - 1)


def quantize(
    network: TorchNetwork,
    description: Network,
    data: TrainingSet,
    settings: QatSettings,
    report: Callable[[QatProgress], None] = lambda _: None,
    lessons: Lessons | None = None,
) -> QatNetwork:
    """Quantise a float network, fine-tuned on the grid unless ``settings.epochs`` is 0.

    The weights after the last epoch are kept, for the reason that `training` gives.

    Args:
        network: the float network; it stays as it is and teaches.
        description: of that network.
        report: called after every batch and every epoch.
        lessons: what the recipe's teachers say (`teaching.lessons_for`); they teach instead of the float network and
            the labels.

    Returns:
        The network on int8, in evaluation mode on the CPU, scales frozen.
    """
    student = copy.deepcopy(network)
    qat = QatNetwork(student, description, network.image_shape, settings.grid, settings.bits).to(settings.device)
    pixels = planes(data.images).to(settings.device)
    for batch in torch.split(pixels[:_CALIBRATION_IMAGES], settings.batch):
        qat.observe_float(batch.float() / 255)
    qat.fit_scales()
    if settings.epochs:
        distortion = Distortion.of(description.recipe, data.images)
        if lessons is None:
            count, loss = len(data.images), _by_the_float_network(network, data, distortion, settings.device)
        else:
            count, loss = len(data.images_for_pupils), _by_lessons(lessons, data, distortion, settings.device)
        _fine_tune(qat, loss, count, data, settings, report)
    return qat.eval().to("cpu")


def _fine_tune(
    qat: QatNetwork,
    loss_of: Loss,
    count: int,
    data: TrainingSet,
    settings: QatSettings,
    report: Callable[[QatProgress], None],
) -> None:
    """Train on images number 0 to `count` - 1."""
    batches = math.ceil(count / settings.batch)
    qat.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(qat.parameters(), lr=settings.learning_rate, weight_decay=0, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * batches)
    frozen_from = frozen_after(settings.epochs, batches, settings.bits)
    for epoch in range(settings.epochs):
        generator = torch.Generator().manual_seed(settings.seed * 1000 + epoch)
        order = torch.randperm(count, generator=generator)
        qat.train()
        for step, chosen in enumerate(torch.split(order, settings.batch)):
            done = epoch * batches + step
            if done == frozen_from:
                qat.freeze_scales()
            loss = loss_of(qat, epoch, chosen, generator)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            _keep_on_grid(qat, step, frozen=done >= frozen_from)
            report(QatProgress(epoch, step + 1, batches))
        report(QatProgress(epoch, batches, batches, _accuracy(qat, data.validation_images, data.validation_labels)))


def _keep_on_grid(qat: QatNetwork, step: int, *, frozen: bool) -> None:
    """Frozen scales hold the weights in their range; before that the scales follow the weights."""
    if frozen:
        for layer in qat.weighted:
            layer.project()
    else:
        qat.observe_batch()
        qat.follow_steps()
        if step % _REFIT_STEPS == _REFIT_STEPS - 1:
            qat.fit_scales()


def _by_the_float_network(network: TorchNetwork, data: TrainingSet, distortion: Distortion, device: str) -> Loss:
    """Half from the labels and how much they are smoothed, half from the float network's distribution."""
    smoothing = network.description.recipe.label_smoothing
    teacher = copy.deepcopy(network).eval().to(device)
    pixels = planes(data.images).to(device)
    targets = torch.from_numpy(data.labels.astype(np.int64)).to(device)

    def loss(qat: QatNetwork, _epoch: int, chosen: Tensor, generator: torch.Generator) -> Tensor:
        chosen = chosen.to(device)
        images = augment(pixels[chosen].float() / 255, generator, distortion)
        images = images.contiguous(memory_format=torch.channels_last)
        logits = qat(images)
        with torch.no_grad():
            said = F.log_softmax(teacher(images), dim=1)
        from_labels = F.cross_entropy(logits, targets[chosen], label_smoothing=smoothing)
        return 0.5 * from_labels + 0.5 * taught_loss(logits, said)

    return loss


def _by_lessons(lessons: Lessons, data: TrainingSet, distortion: Distortion, device: str) -> Loss:
    """All from the distributions of larger networks."""
    pixels = planes(data.images_for_pupils).to(device)

    def loss(qat: QatNetwork, epoch: int, chosen: Tensor, _generator: torch.Generator) -> Tensor:
        view = lessons.view(epoch)
        images = distorted(pixels[chosen.to(device)].float() / 255, view.drawn[chosen], distortion)
        return taught_loss(qat(images.contiguous(memory_format=torch.channels_last)), view.said[chosen])

    return loss


def _accuracy(qat: QatNetwork, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8 | np.int32]) -> float:
    device = next(qat.parameters()).device
    qat.eval()
    with torch.no_grad():
        batches = torch.split(planes(images), 500)
        predicted = torch.cat([qat(batch.to(device).float() / 255).argmax(1).cpu() for batch in batches])
    return float((predicted.numpy() == labels).mean())
