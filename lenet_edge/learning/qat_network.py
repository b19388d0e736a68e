"""A described network on int8, for quantisation-aware training and for the PyTorch engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lenet_edge.errors import BadInputError
from lenet_edge.learning import checkpoint, qat_weights
from lenet_edge.learning.fake_quantize import FakeQuantizedLayer, FakeQuantizedSum, round_through
from lenet_edge.learning.network import build, load_tensors, to_tensors
from lenet_edge.learning.qat_scales import fit_scales
from lenet_edge.learning.qat_step import Columns, Grid, Step, image_tensor
from lenet_edge.learning.qat_steps import classes_of, wired_steps
from lenet_edge.learning.qat_weights import QatWeights
from lenet_edge.networks.description import ImageShape, Network
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

    def __init__(
        self,
        network: nn.Module,
        description: Network,
        image_shape: ImageShape,
        grid: Grid,
        bits: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Args:
        network: the float network, with the weights that `networks.shapes.weight_shapes` names.
        description: of that network.
        image_shape: height, width, channels.
        bits: of the weights of layers that have other than 8.

        Raises:
            BadInputError: int8 cannot express a layer, which the message names.
        """
        super().__init__()
        require_int8(description, image_shape, classes_of(network, description))
        self.image = image_tensor(image_shape)
        self.grid = grid
        self.network = network
        steps, self.reads = wired_steps(network, description, image_shape, grid, bits)
        self._modules_of_steps = nn.ModuleList(steps)
        last = {source: index for index, sources in enumerate(self.reads) for source in sources}
        self._done = [{source for source in sources if last[source] == i} for i, sources in enumerate(self.reads)]

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
        outputs, frozen = {}, self.freeze().layers
        with torch.no_grad():
            for step, layer, (inputs, output) in zip(self.steps, frozen, self._through(u, _call), strict=True):
                # PyTorch flattens in (c, h, w) order, the chip in (h, w, c).
                maps = inputs[0] if step.columns is not None else output
                nhwc = maps[0].permute(1, 2, 0) if maps.ndim == 4 else maps[0]
                integers = (nhwc + layer.output.zero_point).to(torch.int8).numpy()
                outputs[layer.name] = integers.reshape(layer.output.shape)
        return outputs

    def real_outputs(self, images: Tensor) -> Iterator[Tensor]:
        """What each step gives in the float network, for images float32 ``[n, c, h, w]`` in 0..1."""
        for _, output in self._through(images, lambda step, inputs: step.real(*inputs)):
            yield output

    def _centred_logits(self, u: Tensor) -> Tensor:
        logits = u
        for _, output in self._through(u, _call):
            logits = output
        return logits

    def _through(
        self, values: Tensor, call: Callable[[Step, list[Tensor]], Tensor]
    ) -> Iterator[tuple[list[Tensor], Tensor]]:
        """The inputs and the output of each step; what nothing reads any more is forgotten."""
        found = {-1: values}
        for index, (step, sources) in enumerate(zip(self.steps, self.reads, strict=True)):
            inputs = [found[source] for source in sources]
            found[index] = call(step, inputs)
            yield inputs, found[index]
            for source in self._done[index]:
                del found[source]

    # --- ranges and scales ---

    def observe_float(self, images: Tensor) -> None:
        """Add a calibration batch, float in 0..1, run through the float layers, to the ranges."""
        with torch.no_grad():
            for _ in self._through(images, lambda step, inputs: step.observe(*inputs)):
                pass

    def observe_batch(self) -> None:
        """Add the batch that `forward` just saw to the ranges."""
        for step in self._modules_of_steps:
            if isinstance(step, (FakeQuantizedLayer, FakeQuantizedSum)):
                step.observe_batch()

    def follow_steps(self) -> None:
        """Between two fits: let weights of few bits have the steps that were learnt so far."""
        for layer in self.weighted:
            layer.follow_steps()

    def freeze_scales(self) -> None:
        """Set every layer's scales a last time; the steps of weights learn no more."""
        self.fit_scales()
        for layer in self.weighted:
            layer.learns = False

    def fit_scales(self) -> None:
        """Set every layer's scales from the ranges and the weights as they are now; `BadInputError` where a sum has
        none."""
        fit_scales(self.steps, self.reads, self.image)

    def take_scales(self, frozen: QatWeights) -> None:
        """Set every layer's scales to frozen ones."""
        tensors = {-1: self.image}
        for index, (step, sources) in enumerate(zip(self.steps, self.reads, strict=True)):
            step.take(*(tensors[source] for source in sources), frozen)
            tensors[index] = step.output

    # --- to the integer truth ---

    def freeze(self) -> QuantizedModel:
        """The layers as they are now, verified."""
        columns: dict[int, Columns] = {-1: None}
        layers: list[Layer] = []
        for index, (step, sources) in enumerate(zip(self.steps, self.reads, strict=True)):
            layers.append(step.to_layer(columns[sources[0]]))
            columns[index] = step.columns
        return verify(QuantizedModel(tuple(layers), reads=self.reads))

    def weights(self, frozen: QuantizedModel) -> QatWeights:
        """The fine-tuned weights with the frozen scales.

        Args:
            frozen: the model that they became; its metadata and fingerprint go along.
        """
        scales = {layer.name: layer.scales for layer in self.weighted if layer.scales is not None}
        outputs = [(step.name, step.output) for step in self.steps if step.name in scales or _is_sum(step)]
        return QatWeights(
            tensors=to_tensors(self.network),
            metadata={**frozen.metadata, "fingerprint": frozen.fingerprint},
            grid=self.grid,
            outputs={name: (output.scale, output.zero_point) for name, output in outputs},
            weight_scales={name: each.weight_scales for name, each in scales.items()},
            q={name: each.q for name, each in scales.items() if each.q is not None},
            bits=frozen.metadata.get("weight_bits", {}),
        )


def _call(step: Step, inputs: list[Tensor]) -> Tensor:
    return step(*inputs)


def _is_sum(step: object) -> bool:
    return isinstance(step, FakeQuantizedSum)


def load(path: Path) -> QatNetwork:
    """The network of a file of QAT weights, in evaluation mode on the CPU.

    Raises:
        BadInputError: see `qat_weights.load`; also scales that do not fit the weights.
    """
    found = qat_weights.load(path)
    network = build(*checkpoint.description(found.metadata))
    load_tensors(network, found.tensors)
    qat = QatNetwork(network, network.description, network.image_shape, found.grid, found.bits)  # type: ignore[arg-type]
    try:
        qat.take_scales(found)
    except BadInputError as error:  # a weight that does not fit
        raise BadInputError(f"{path}: its scales do not fit its weights: {error}; quantize again") from None
    return qat.eval()
