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

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from lenet_edge.learning.augmentation import augment
from lenet_edge.learning.network import TorchNetwork, planes
from lenet_edge.learning.qat_network import QatNetwork
from lenet_edge.learning.qat_step import Grid
from lenet_edge.learning.settings import TrainingSet
from lenet_edge.networks.description import Network

__all__ = ["QatProgress", "QatSettings", "few_bit_schedule", "frozen_after", "quantize"]

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
) -> QatNetwork:
    """Quantise a float network, fine-tuned on the grid unless ``settings.epochs`` is 0.

    The weights after the last epoch are kept, for the reason that `training` gives.

    Args:
        network: the float network; it stays as it is and teaches.
        description: of that network.
        report: called after every batch and every epoch.

    Returns:
        The network on int8, in evaluation mode on the CPU, scales frozen.
    """
    teacher = copy.deepcopy(network).eval().to(settings.device)
    student = copy.deepcopy(network)
    qat = QatNetwork(student, description, network.image_shape, settings.grid, settings.bits).to(settings.device)
    pixels = planes(data.images).to(settings.device)
    for batch in torch.split(pixels[:_CALIBRATION_IMAGES], settings.batch):
        qat.observe_float(batch.float() / 255)
    qat.fit_scales()
    if settings.epochs:
        _fine_tune(qat, teacher, data, settings, report)
    return qat.eval().to("cpu")


def _fine_tune(
    qat: QatNetwork,
    teacher: TorchNetwork,
    data: TrainingSet,
    settings: QatSettings,
    report: Callable[[QatProgress], None],
) -> None:
    recipe = teacher.description.recipe
    pixels = planes(data.images).to(settings.device)
    targets = torch.from_numpy(data.labels.astype(np.int64)).to(settings.device)
    batches = math.ceil(len(pixels) / settings.batch)
    qat.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(qat.parameters(), lr=settings.learning_rate, weight_decay=0, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * batches)
    frozen_from = frozen_after(settings.epochs, batches, settings.bits)
    for epoch in range(settings.epochs):
        generator = torch.Generator().manual_seed(settings.seed * 1000 + epoch)
        order = torch.randperm(len(pixels), generator=generator)
        qat.train()
        for step, index in enumerate(torch.split(order, settings.batch)):
            done = epoch * batches + step
            if done == frozen_from:
                qat.freeze_scales()
            chosen = index.to(pixels.device)
            batch = pixels[chosen].float() / 255
            if recipe.augmentation:
                batch = augment(batch, generator)
            batch = batch.contiguous(memory_format=torch.channels_last)
            loss = _loss(qat(batch), teacher, batch, (targets[chosen], recipe.label_smoothing))
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


def _loss(logits: Tensor, teacher: TorchNetwork, images: Tensor, wanted: tuple[Tensor, float]) -> Tensor:
    """Half from the labels and how much they are smoothed, half from the float network's distribution."""
    targets, smoothing = wanted
    with torch.no_grad():
        taught = F.log_softmax(teacher(images), dim=1)
    from_teacher = F.kl_div(F.log_softmax(logits, dim=1), taught, log_target=True, reduction="batchmean")
    return 0.5 * F.cross_entropy(logits, targets, label_smoothing=smoothing) + 0.5 * from_teacher


def _accuracy(qat: QatNetwork, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8 | np.int32]) -> float:
    device = next(qat.parameters()).device
    qat.eval()
    with torch.no_grad():
        batches = torch.split(planes(images), 500)
        predicted = torch.cat([qat(batch.to(device).float() / 255).argmax(1).cpu() for batch in batches])
    return float((predicted.numpy() == labels).mean())
