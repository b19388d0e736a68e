"""LeNet-5 on int8, for quantisation-aware training and for the PyTorch engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lenet_edge.errors import BadInputError
from lenet_edge.learning import qat_weights
from lenet_edge.learning.fake_quantize import (
    FakeQuantizedFlatten,
    FakeQuantizedLayer,
    FakeQuantizedLookup,
    FakeQuantizedPool,
    round_through,
)
from lenet_edge.learning.network import LeNet5, build, load_tensors, to_tensors
from lenet_edge.learning.qat_step import IMAGE, Activation, Columns, Grid, Step
from lenet_edge.learning.qat_weights import QatWeights
from lenet_edge.quantized.model import Layer, QuantizedModel
from lenet_edge.quantized.verify import verify

__all__ = ["QatNetwork", "load"]

_ACTIVATIONS: dict[type, Activation] = {nn.ReLU: "relu", nn.Sigmoid: "sigmoid", nn.Tanh: "tanh"}
_BATCH = 500


class QatNetwork(nn.Module):
    """LeNet-5 on int8: pixels in, integers in between, logits out.

    Built around the float network's own layers, which keep being trained.
    ``forward(images float32 [n, 1, 28, 28] in 0..1) -> real logits [n, classes]``;
    `integers` gives the int8 logits of the chip.
    """

    def __init__(self, network: LeNet5, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        self.network = network
        self._modules_of_steps = nn.ModuleList(_steps(network, grid))

    @property
    def steps(self) -> list[Step]:
        """One for each layer of the `QuantizedModel`."""
        return cast(list[Step], list(self._modules_of_steps))

    @property
    def weighted(self) -> list[FakeQuantizedLayer]:
        """The steps with weights."""
        return [step for step in self._modules_of_steps if isinstance(step, FakeQuantizedLayer)]

    def forward(self, images: Tensor) -> Tensor:
        u = round_through(images * 255).clamp(0, 255)
        return self._centred_logits(u) * self.steps[-1].output.scale

    def integers(self, images: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Int8 images ``[n, 28, 28, 1]`` to int8 logits ``[n, classes]``."""
        pixels = images.astype(np.float32) - IMAGE.zero_point
        with torch.no_grad():
            batches = torch.split(torch.from_numpy(pixels).permute(0, 3, 1, 2), _BATCH)
            centred = torch.cat([self._centred_logits(batch) for batch in batches])
        return (centred + self.steps[-1].output.zero_point).to(torch.int8).numpy()

    def layer_integers(self, image: npt.NDArray[np.int8]) -> dict[str, npt.NDArray[np.int8]]:
        """The int8 output of each layer for one image ``[28, 28, 1]``, NHWC without the batch, by layer name."""
        u = torch.from_numpy(image.astype(np.float32) - IMAGE.zero_point).permute(2, 0, 1)[None]
        outputs = {}
        with torch.no_grad():
            for step, layer in zip(self.steps, self.freeze().layers, strict=True):
                before, u = u, step(u)
                # PyTorch flattens in (c, h, w) order, the chip in (h, w, c).
                maps = before if step.columns is not None else u
                nhwc = maps[0].permute(1, 2, 0) if maps.ndim == 4 else maps[0]
                integers = (nhwc + layer.output.zero_point).to(torch.int8).numpy()
                outputs[layer.name] = integers.reshape(layer.output.shape)
        return outputs

    def _centred_logits(self, u: Tensor) -> Tensor:
        for step in self.steps:
            u = step(u)
        return u

    # --- ranges and scales ---

    def observe_float(self, images: Tensor) -> None:
        """Add a calibration batch, float in 0..1, run through the float layers, to the ranges."""
        values = images
        with torch.no_grad():
            for step in self.steps:
                values = step.observe(values)

    def observe_batch(self) -> None:
        """Add the batch that `forward` just saw to the ranges."""
        for layer in self.weighted:
            layer.observe_batch()

    def fit_scales(self) -> None:
        """Set every layer's scales from the ranges and the weights as they are now."""
        current = IMAGE
        for step in self.steps:
            step.fit(current)
            current = step.output

    def take_scales(self, frozen: QatWeights) -> None:
        """Set every layer's scales to frozen ones."""
        current = IMAGE
        for step in self.steps:
            step.take(current, frozen)
            current = step.output

    # --- to the integer truth ---

    def freeze(self) -> QuantizedModel:
        """The layers as they are now, verified."""
        layers: list[Layer] = []
        columns: Columns = None
        for step in self.steps:
            layers.append(step.to_layer(columns))
            columns = step.columns
        return verify(QuantizedModel(tuple(layers)))

    def weights(self, frozen: QuantizedModel) -> QatWeights:
        """The fine-tuned weights with the frozen scales.

        Args:
            frozen: the model that they became; its metadata and fingerprint go along.
        """
        scales = {layer.name: layer.scales for layer in self.weighted if layer.scales is not None}
        return QatWeights(
            tensors=to_tensors(self.network),
            metadata={**frozen.metadata, "fingerprint": frozen.fingerprint},
            grid=self.grid,
            outputs={name: (each.output.scale, each.output.zero_point) for name, each in scales.items()},
            weight_scales={name: each.weight_scales for name, each in scales.items()},
            q={name: each.q for name, each in scales.items() if each.q is not None},
        )


def _steps(network: LeNet5, grid: Grid) -> Iterator[nn.Module]:
    """The steps of the int8 network, one per layer of the `QuantizedModel`."""
    modules = [*network.features.named_children(), ("flatten", nn.Flatten()), *network.classifier.named_children()]
    owner = ""
    for (name, module), (_, follower) in zip(modules, [*modules[1:], ("", None)], strict=True):
        activation = _ACTIVATIONS.get(type(module))
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            owner = name
            yield FakeQuantizedLayer(name, module, grid, _ACTIVATIONS.get(type(follower)))
        elif activation == "sigmoid" or activation == "tanh":
            yield FakeQuantizedLookup(f"{owner}/{activation}", activation)
        elif isinstance(module, nn.MaxPool2d):
            yield FakeQuantizedPool(name)
        elif isinstance(module, nn.Flatten):
            yield FakeQuantizedFlatten(name)
        elif activation is None:
            raise BadInputError(f"{name}: {type(module).__name__} cannot be quantised yet; max-pooling can")


def load(path: Path) -> QatNetwork:
    """The network of a file of QAT weights, in evaluation mode on the CPU.

    Raises:
        BadInputError: see `qat_weights.load`; also scales that do not fit the weights.
    """
    found = qat_weights.load(path)
    network = build(found.metadata["arch"], len(found.metadata["classes"]))
    load_tensors(network, found.tensors)
    qat = QatNetwork(network, found.grid)  # type: ignore[arg-type]
    try:
        qat.take_scales(found)
    except BadInputError as error:  # a weight that does not fit
        raise BadInputError(f"{path}: its scales do not fit its weights: {error}; quantize again") from None
    return qat.eval()
