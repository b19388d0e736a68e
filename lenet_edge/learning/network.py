"""A described network as a torch module, in the two modules of LeCun et al. 1998, section II.

Feature extraction and trainable classifier; the layers have the description's names, what follows a layer is called
after it: NAME_norm (batch normalisation) and NAME_squash (activation).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lenet_edge.errors import BadInputError
from lenet_edge.learning.layers import Codes, Conv2d, ScaledTanh, Subsampling, as_it_is, between
from lenet_edge.networks import description, shapes, wiring
from lenet_edge.networks.description import (
    Addition,
    AveragePooling,
    Convolution,
    Dropout,
    FullyConnected,
    ImageShape,
    LayerDescription,
    MaxPooling,
    Network,
    Rbf,
)
from lenet_edge.networks.folding import factors, folded

__all__ = ["TorchNetwork", "build", "fold", "load_tensors", "planes", "to_tensors"]

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]

_NORM = ("weight", "bias", "running_mean", "running_var")
_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "scaled-tanh": ScaledTanh,
}


class TorchNetwork(nn.Module):
    """A network for images of one shape.

    ``forward(images float32 [n, c, h, w] in 0..1) -> logits [n, classes]``. Maps are flattened in (channel, row,
    column) order.

    Attributes:
        description: what it was built from.
        image_shape: height, width, channels.
    """

    def __init__(self, network: Network, image_shape: ImageShape, classes: int) -> None:
        super().__init__()
        self.description, self.image_shape, self.classes = network, image_shape, classes
        inputs = shapes.input_shapes(network, image_shape, classes)
        reads = wiring.reads(network)
        self.features = _sequential(network.features, inputs, classes, (wiring.IMAGE, reads))
        self.classifier = _sequential(network.classifier, inputs, classes, (wiring.FLATTEN, reads))

    def forward(self, images: Tensor) -> Tensor:
        maps = self.features(images)
        logits: Tensor = self.classifier(maps.flatten(1))
        return logits

    def distribution(self, images: Tensor) -> Tensor:
        """The distribution over the classes, ``[n, classes]``: each row sums to 1."""
        return torch.softmax(self(images), dim=1)

    def initialize(self, gain: float | None, generator: torch.Generator) -> None:
        """Draw the initial weights: Xavier's uniform distribution with that gain (1 on the last layer), biases 0.

        With no gain the bounds are PyTorch's own, ``1 / sqrt(fan_in)``, for weights and biases. The coefficients of a
        subsampling begin at ``gain / sqrt(fan_in)``, and codes are what they are.

        Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".
        """
        last = self.description.classifier[-1].name
        for name, layer in (*self.features.named_children(), *self.classifier.named_children()):
            if isinstance(layer, Subsampling) and gain is not None:
                nn.init.constant_(layer.weight, gain * layer.fan_in**-0.5)
            if not isinstance(layer, (nn.Conv2d, nn.Linear)) or isinstance(layer, Codes):
                continue
            assert layer.bias is not None
            if gain is not None:
                nn.init.xavier_uniform_(layer.weight, 1.0 if name == last else gain, generator)
                nn.init.zeros_(layer.bias)
            else:
                bound = layer.weight[0].numel() ** -0.5
                nn.init.uniform_(layer.weight, -bound, bound, generator)
                nn.init.uniform_(layer.bias, -bound, bound, generator)
            if isinstance(layer, Conv2d) and layer.spread is not as_it_is:
                wider = (layer.weight[0].numel() / layer.fan_in()).sqrt()
                with torch.no_grad():
                    layer.weight.copy_(layer.spread(layer.weight) * wider.view(-1, 1, 1, 1))


def build(network: Network, image_shape: ImageShape = (28, 28, 1), classes: int = 10) -> TorchNetwork:
    """The module of a description, with whatever weights PyTorch gives it.

    Raises:
        BadInputError: a window does not fit, or a layer has a name that PyTorch has another meaning for.
    """
    return TorchNetwork(network, image_shape, classes)


def fold(model: TorchNetwork) -> TorchNetwork:
    """A copy on the CPU, in evaluation mode, with the layers of `networks.folding.folded`: the same function.

    A batch normalisation divides by the standard deviation that it has learnt, so it is part of the weights before it.
    A scaled tanh becomes a tanh between scaled weights.

    Source: Ioffe, Szegedy 2015, "Batch normalization", section 3.1.
    """
    tensors = to_tensors(model)
    plain = build(folded(model.description), model.image_shape, model.classes)
    values = {name: torch.from_numpy(array) for name, array in tensors.items()}
    for place, module in model.named_modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer, eps = place.removesuffix("_norm"), module.eps
            norm = {key: values.pop(f"{place}.{key}").double() for key in _NORM}
            values.pop(f"{place}.num_batches_tracked")
            factor = norm["weight"] / torch.sqrt(norm["running_var"] + eps)
            weight, bias = values[f"{layer}.weight"], values[f"{layer}.bias"]
            scaled = weight.double() * factor.reshape(-1, *[1] * (weight.ndim - 1))
            values[f"{layer}.weight"] = scaled.float()
            values[f"{layer}.bias"] = (norm["bias"] + (bias.double() - norm["running_mean"]) * factor).float()
    for name, (of_weight, of_bias) in factors(model.description).items():
        layer = next(place.removesuffix(".weight") for place in values if place.endswith(f".{name}.weight"))
        values[f"{layer}.weight"] = (values[f"{layer}.weight"].double() * of_weight).float()
        values[f"{layer}.bias"] = (values[f"{layer}.bias"].double() * of_bias).float()
    plain.load_state_dict(values)
    return plain.eval()


def planes(images: npt.NDArray[np.uint8]) -> Tensor:
    """Images uint8 ``[n, h, w]`` or ``[n, h, w, 3]`` as torch has them: ``[n, c, h, w]``."""
    tensor = torch.from_numpy(np.ascontiguousarray(images))
    return tensor[:, None] if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2)


def to_tensors(model: nn.Module) -> Arrays:
    """Copies of the weights as arrays under their state_dict names."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in model.state_dict().items()}


def load_tensors(model: nn.Module, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """Set the weights of `model` to arrays under their state_dict names."""
    model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in tensors.items()})


# --- layer by layer ---------------------------------------------------------------------------------


class Sum(nn.Module):
    """Two tensors of one shape, added."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second


class Branching(nn.Sequential):
    """Layers that need not read the one before."""

    def __init__(
        self, steps: Mapping[str, list[tuple[str, nn.Module]]], reads: Mapping[str, tuple[str, ...]], begin: str
    ) -> None:
        """Args:
        steps: of each layer, in order.
        reads: what each layer reads.
        begin: what the module's input is called there.
        """
        super().__init__(OrderedDict(step for layer in steps.values() for step in layer))
        self._begin = begin
        last = {source: name for name in steps for source in reads[name]}
        # Of each layer its name, what it reads, the names of its steps, and what nothing reads any more after it.
        self._plan = [
            (name, reads[name], [step for step, _ in layer], [each for each in reads[name] if last[each] == name])
            for name, layer in steps.items()
        ]

    def forward(self, input: Tensor) -> Tensor:
        values, found = input, {self._begin: input}
        for name, sources, (first, *others), done in self._plan:
            values = self.get_submodule(first)(*(found[source] for source in sources))
            for step in others:
                values = self.get_submodule(step)(values)
            found[name] = values
            for each in done:
                found.pop(each, None)  # an addition may have read it twice
        return values


def _sequential(
    layers: tuple[LayerDescription, ...],
    inputs: Mapping[str, shapes.Shape],
    classes: int,
    wired: tuple[str, Mapping[str, tuple[str, ...]]],
) -> nn.Sequential:
    """The module of some layers; `wired` is what the first one reads by default, and what each layer reads."""
    steps = {layer.name: [*_steps(layer, inputs[layer.name], classes)] for layer in layers}
    begin, reads = wired
    try:
        if wiring.is_chain(layers, begin):
            return nn.Sequential(OrderedDict(step for layer in steps.values() for step in layer))
        return Branching(steps, reads, begin)
    except KeyError as error:  # an attribute of every module
        raise BadInputError(f"a layer's name has another meaning in PyTorch: {error.args[0]}; rename it") from None


def _steps(layer: LayerDescription, shape: shapes.Shape, classes: int) -> Iterator[tuple[str, nn.Module]]:
    """A layer and what follows it, by their names."""
    module = _module(layer, shape, classes)
    yield layer.name, module
    if getattr(layer, "batch_norm", False):
        if isinstance(module, nn.Conv2d):
            yield f"{layer.name}_norm", nn.BatchNorm2d(module.out_channels)
        elif isinstance(module, nn.Linear):
            yield f"{layer.name}_norm", nn.BatchNorm1d(module.out_features)
    if activation := _ACTIVATIONS.get(getattr(layer, "activation", "none")):
        yield f"{layer.name}_squash", activation()


def _module(layer: LayerDescription, shape: shapes.Shape, classes: int) -> nn.Module:
    if isinstance(layer, FullyConnected):
        return nn.Linear(shape[0], layer.outputs or classes)
    if isinstance(layer, Rbf):
        return Codes(layer.codes)
    if isinstance(layer, Dropout):
        return nn.Dropout(layer.rate)
    if isinstance(layer, Addition):
        return Sum()
    window, stride, padding = shapes.windows(layer, shape[0], shape[1])
    if isinstance(layer, MaxPooling):
        return nn.MaxPool2d(window, stride)
    if isinstance(layer, AveragePooling):
        return nn.AvgPool2d(window, stride)
    if isinstance(layer, description.Subsampling):
        return Subsampling(shape[2], window, stride)
    channels = layer.channels if isinstance(layer, Convolution) else shape[2] * layer.multiplier
    groups = 1 if isinstance(layer, Convolution) else shape[2]
    top, bottom, left, right = padding
    even = (top, left) if (top, left) == (bottom, right) else (0, 0)
    seen = layer.connections if isinstance(layer, Convolution) else None
    convolution = Conv2d(shape[2], channels, window, stride, even, groups=groups)
    if seen is not None:
        convolution.spread = between(seen, shape[2])
    if even != (top, left) or even != (bottom, right):
        convolution.surround = (left, right, top, bottom)
    return convolution
