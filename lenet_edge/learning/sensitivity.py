"""How much a network loses where one layer alone has weights of few bits: a short training of each.

The loss is how far the answers move away from the float network's, as the Kullback-Leibler divergence of their
distributions on the validation images (Cai, Yao, Dong, Gholami, Mahoney, Keutzer 2020, "ZeroQ", section 3.2). It tells
layers apart long before the accuracy does, and grows with fewer bits where the labels' cross-entropy may even fall.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from lenet_edge.learning.network import TorchNetwork, planes
from lenet_edge.learning.qat_network import QatNetwork
from lenet_edge.learning.qat_training import QatSettings, quantize
from lenet_edge.learning.settings import TrainingSet

__all__ = ["USUAL", "added_losses", "divergence"]

USUAL = "8"
"""The name of the divergence with 8 bits everywhere."""

_IMAGES = 12_800
"""Of the training set, drawn by chance: enough for the steps of the weights to settle."""


def added_losses(
    network: TorchNetwork,
    data: TrainingSet,
    choices: Mapping[str, Sequence[int]],
    settings: QatSettings,
    report: Callable[[str, int, float], None] = lambda *_: None,
    kept: Callable[[str, Callable[[], float]], float] = lambda _, measure: measure(),
) -> dict[str, dict[int, float]]:
    """For each layer and bits, how much more the `divergence` is than with 8 bits everywhere.

    Args:
        choices: layer -> the bits that it may have; 8 of them adds nothing.
        settings: of the short trainings: at most one epoch of these, on a part of the images.
        report: called with each layer, bits and added loss.
        kept: the `divergence` of that name, ``LAYER=BITS``, as it is known, or else as it is measured by what it gets.
    """
    part, short = _part_of(data, settings.seed), replace(settings, epochs=min(settings.epochs, 1), bits={})

    def measured(name: str, bits: int) -> float:
        few = {name: bits} if bits < 8 else {}
        return divergence(network, quantize(network, network.description, part, replace(short, bits=few)), part)

    usual = kept(USUAL, lambda: measured("", 8))
    found: dict[str, dict[int, float]] = {}
    for name, allowed in choices.items():
        found[name] = {8: 0.0}
        for bits in (each for each in allowed if each < 8):
            found[name][bits] = kept(f"{name}={bits}", partial(measured, name, bits)) - usual
            report(name, bits, found[name][bits])
    return found


def divergence(network: TorchNetwork, qat: QatNetwork, data: TrainingSet) -> float:
    """The mean Kullback-Leibler divergence of the int8 network from the float one on the validation images, in nats."""
    batches = [batch.float() / 255 for batch in torch.split(planes(data.validation_images), 500)]
    network = copy.deepcopy(network).eval().to("cpu")
    with torch.no_grad():
        wanted = torch.cat([F.log_softmax(network(batch).double(), dim=1) for batch in batches])
        found = torch.cat([F.log_softmax(qat(batch).double(), dim=1) for batch in batches])
        return float(F.kl_div(found, wanted, log_target=True, reduction="batchmean"))


def _part_of(data: TrainingSet, seed: int) -> TrainingSet:
    """At most `_IMAGES` of the training images; all that validate."""
    if len(data.images) <= _IMAGES:
        return data
    chosen = np.sort(np.random.default_rng(seed).choice(len(data.images), _IMAGES, replace=False))
    return replace(data, images=data.images[chosen], labels=data.labels[chosen])
