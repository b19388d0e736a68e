"""A described network on int8, for quantisation-aware training and for the PyTorch engine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lenet_edge.errors import BadInputError
from lenet_edge.learning import checkpoint, qat_weights
from lenet_edge.learning.fake_quantize import (
    FakeQuantizedLayer,
    FakeQuantizedLookup,
    Operation,
    average_of,
    connection_of,
    convolution_of,
    flatten,
    max_pool,
    round_through,
)
from lenet_edge.learning.network import build, load_tensors, to_tensors
from lenet_edge.learning.qat_step import Columns, Grid, Step, image_tensor
from lenet_edge.learning.qat_weights import QatWeights
from lenet_edge.networks import shapes
from lenet_edge.networks.description import (
    AveragePooling,
    Convolution,
    DepthwiseConvolution,
    Dropout,
    FullyConnected,
    ImageShape,
    MaxPooling,
    Network,
)
from lenet_edge.networks.int8 import require_int8
from lenet_edge.quantized.model import Layer, QuantizedModel
from lenet_edge.quantized.verify import verify

__all__ = ["QatNetwork", "load"]

_BATCH = 500


class QatNetwork(nn.Module):
    """A network on int8: pixels in, integers in between, logits out.

    Built around the float network's own layers, which keep being trained.
    ``forward(images float32 [n, c, h, w] in 0..1) -> real logits [n, classes]``;
    `integers` gives the int8 logits of the chip.
    """

    def __init__(self, network: nn.Module, description: Network, image_shape: ImageShape, grid: Grid) -> None:
        """Args:
        network: the float network, with the weights that `networks.shapes.weight_shapes` names.
        description: of that network.
        image_shape: height, width, channels.

        Raises:
            BadInputError: int8 cannot express a layer, which the message names.
        """
        super().__init__()
        require_int8(description, image_shape, _classes(network, description))
        self.image = image_tensor(image_shape)
        self.grid = grid
        self.network = network
        self._modules_of_steps = nn.ModuleList(_steps(network, description, image_shape, grid))

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
        """Int8 images ``[n, h, w, c]`` to int8 logits ``[n, classes]``."""
        pixels = images.astype(np.float32) - self.image.zero_point
        with torch.no_grad():
            batches = torch.split(torch.from_numpy(pixels).permute(0, 3, 1, 2), _BATCH)
            centred = torch.cat([self._centred_logits(batch) for batch in batches])
        return (centred + self.steps[-1].output.zero_point).to(torch.int8).numpy()

    def layer_integers(self, image: npt.NDArray[np.int8]) -> dict[str, npt.NDArray[np.int8]]:
        """The int8 output of each layer for one image ``[h, w, c]``, NHWC without the batch, by layer name."""
        u = torch.from_numpy(image.astype(np.float32) - self.image.zero_point).permute(2, 0, 1)[None]
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
        current = self.image
        for step in self.steps:
            step.fit(current)
            current = step.output

    def take_scales(self, frozen: QatWeights) -> None:
        """Set every layer's scales to frozen ones."""
        current = self.image
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


def _steps(network: nn.Module, description: Network, image_shape: ImageShape, grid: Grid) -> Iterator[nn.Module]:
    """The steps of the int8 network, one per layer of the `QuantizedModel`; dropout has none."""
    modules = dict(network.named_modules())
    source: tuple[int, ...] = image_shape
    outputs = shapes.output_shapes(description, image_shape, _classes(network, description))
    flat = (math.prod(outputs[description.features[-1].name]) if description.features else math.prod(image_shape),)
    for layer in (*description.features, None, *description.classifier):
        if layer is None:
            yield flatten("flatten", flat)
            source = flat
        elif isinstance(layer, MaxPooling):
            window, stride, _ = shapes.windows(layer, source[0], source[1])
            yield max_pool(layer.name, window, stride, outputs[layer.name])
        elif not isinstance(layer, Dropout):
            operation = _operation(modules, layer, source, outputs[layer.name])
            yield FakeQuantizedLayer(layer.name, operation, grid, layer.activation)
            if layer.activation == "sigmoid" or layer.activation == "tanh":
                yield FakeQuantizedLookup(f"{layer.name}/{layer.activation}", layer.activation)
        source = outputs[layer.name] if layer is not None else source


def _classes(network: nn.Module, description: Network) -> int:
    weight = dict(network.named_parameters())[f"classifier.{description.classifier[-1].name}.weight"]
    return len(weight)


def _operation(
    modules: Mapping[str, nn.Module],
    layer: Convolution | DepthwiseConvolution | AveragePooling | FullyConnected,
    source: tuple[int, ...],
    output: tuple[int, ...],
) -> Operation:
    if isinstance(layer, FullyConnected):
        return connection_of(modules[f"classifier.{layer.name}"], output)
    windows = shapes.windows(layer, source[0], source[1])
    if isinstance(layer, AveragePooling):
        return average_of(windows, source, output)
    return convolution_of(modules[f"features.{layer.name}"], windows, source, output)


def load(path: Path) -> QatNetwork:
    """The network of a file of QAT weights, in evaluation mode on the CPU.

    Raises:
        BadInputError: see `qat_weights.load`; also scales that do not fit the weights.
    """
    found = qat_weights.load(path)
    network = build(*checkpoint.description(found.metadata))
    load_tensors(network, found.tensors)
    qat = QatNetwork(network, network.description, network.image_shape, found.grid)  # type: ignore[arg-type]
    try:
        qat.take_scales(found)
    except BadInputError as error:  # a weight that does not fit
        raise BadInputError(f"{path}: its scales do not fit its weights: {error}; quantize again") from None
    return qat.eval()
