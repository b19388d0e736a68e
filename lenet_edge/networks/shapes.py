"""What follows from a description, the size of the images and the number of classes: the shape of every map and weight.

Shapes are NHWC without the batch, as everywhere in `quantized`; those of weights are PyTorch's (OIHW, OI).
"""

from __future__ import annotations

import math
from typing import TypeAlias

from lenet_edge.errors import BadInputError
from lenet_edge.networks import wiring
from lenet_edge.networks.description import (
    Addition,
    AveragePooling,
    Convolution,
    DepthwiseConvolution,
    Dropout,
    FullyConnected,
    ImageShape,
    LayerDescription,
    MaxPooling,
    Network,
    Rbf,
    Subsampling,
)
from lenet_edge.quantized.model import window_padding

__all__ = ["Shape", "Windows", "input_shapes", "output_shapes", "trainable_parameters", "weight_shapes", "windows"]

Shape: TypeAlias = tuple[int, ...]
Windows: TypeAlias = tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]
"""Window and stride, each down and right; zeros above, below, left and right."""
_Windowed: TypeAlias = Convolution | DepthwiseConvolution | MaxPooling | AveragePooling | Subsampling


def output_shapes(network: Network, image_shape: ImageShape, classes: int) -> dict[str, Shape]:
    """The output of every layer by its name, in order; a fully connected layer's is ``(outputs,)``.

    Args:
        image_shape: height, width, channels.
        classes: outputs of the last layer.

    Raises:
        BadInputError: the network is for images of another size, or a window does not fit into its map.
    """
    if network.input not in (None, image_shape):
        raise BadInputError(
            f"the network {network.name} is for images of {_times(network.input or ())}, "
            f"and these have {_times(image_shape)}; --size and --grey or --colour prepare others"
        )
    shapes: dict[str, Shape] = {wiring.IMAGE: image_shape}
    reads = wiring.reads(network)
    for layer in network.features:
        inputs = [shapes[name] for name in reads[layer.name]]
        if isinstance(layer, Addition):
            shapes[layer.name] = _sum(network, layer, inputs)
        else:
            shapes[layer.name] = _map_after(network, layer, (inputs[0], image_shape))
    last = network.features[-1].name if network.features else wiring.IMAGE
    shapes[wiring.FLATTEN] = (math.prod(shapes[last]),)
    for layer in network.classifier:
        inputs = [shapes[name] for name in reads[layer.name]]
        if isinstance(layer, Addition):
            shapes[layer.name] = _sum(network, layer, inputs)
        elif isinstance(layer, Rbf):
            shapes[layer.name] = _answers(network, layer, inputs[0], classes)
        else:
            shapes[layer.name] = (layer.outputs or classes,) if isinstance(layer, FullyConnected) else inputs[0]
    return {name: shape for name, shape in shapes.items() if name not in (wiring.IMAGE, wiring.FLATTEN)}


def input_shapes(network: Network, image_shape: ImageShape, classes: int) -> dict[str, Shape]:
    """The input of every layer by its name, as `output_shapes`; both inputs of an addition have it.

    The classifier's first is ``(values,)``.
    """
    found: dict[str, Shape] = {wiring.IMAGE: image_shape, **output_shapes(network, image_shape, classes)}
    found[wiring.FLATTEN] = (math.prod(found[network.features[-1].name if network.features else wiring.IMAGE]),)
    return {name: found[sources[0]] for name, sources in wiring.reads(network).items()}


def windows(layer: _Windowed, height: int, width: int) -> Windows:
    """A layer's window, stride and padding on a map of that size, whatever its description leaves open."""
    if isinstance(layer, (MaxPooling, AveragePooling, Subsampling)):
        window = layer.window or (height, width)
        return window, layer.stride or window, (0, 0, 0, 0)
    if isinstance(layer.padding, tuple):
        down, right = layer.padding
        return layer.window, layer.stride, (down, down, right, right)
    (_, top, bottom), (_, left, right) = (
        window_padding(size, window, stride, layer.padding)
        for size, window, stride in zip((height, width), layer.window, layer.stride, strict=True)
    )
    return layer.window, layer.stride, (top, bottom, left, right)


def weight_shapes(network: Network, image_shape: ImageShape, classes: int) -> dict[str, Shape]:
    """The weights and biases by PyTorch's names, such as "features.C1.weight"; batch normalisation is folded.

    Raises:
        BadInputError: as `output_shapes`.
    """
    inputs = input_shapes(network, image_shape, classes)
    shapes: dict[str, Shape] = {}
    for module, layers in (("features", network.features), ("classifier", network.classifier)):
        for layer in layers:
            if (shape := _weight_shape(layer, inputs[layer.name], classes)) is not None:
                shapes[f"{module}.{layer.name}.weight"] = shape
                shapes[f"{module}.{layer.name}.bias"] = shape[:1]
    return shapes


def trainable_parameters(network: Network, image_shape: ImageShape, classes: int) -> dict[str, int]:
    """How many numbers each layer learns, by its name; those that learn nothing are left out.

    Weights between channels that are not connected are none, and an rbf's codes are not learnt.

    Raises:
        BadInputError: as `output_shapes`.
    """
    inputs = input_shapes(network, image_shape, classes)
    found = {}
    for layer in (*network.features, *network.classifier):
        shape = _weight_shape(layer, inputs[layer.name], classes)
        if shape is None or isinstance(layer, Rbf):
            continue
        weights = math.prod(shape)
        if isinstance(layer, Convolution) and layer.connections is not None:
            weights = math.prod(layer.window) * sum(map(len, layer.connections))
        found[layer.name] = weights + shape[0]
    return found


def _map_after(network: Network, layer: LayerDescription, shapes: tuple[Shape, ImageShape]) -> Shape:
    """The map behind a layer of the features; `shapes` are those of its input and of the image."""
    (height, width, channels), image = shapes
    if isinstance(layer, Dropout):
        return shapes[0]
    assert not isinstance(layer, (FullyConnected, Rbf, Addition))  # `reader.validate` has seen to it
    (tall, wide), (down, right), (top, bottom, left, aside) = windows(layer, height, width)
    rows, columns = height + top + bottom, width + left + aside
    if rows < tall or columns < wide:
        raise BadInputError(
            f"the network {network.name}, layer {layer.name}: its window of {tall} x {wide} does not fit into the "
            f"{height} x {width} that an image of {image[0]} x {image[1]} has become there; take larger images "
            "(--size), a smaller window, or less pooling before it"
        )
    if isinstance(layer, Convolution):
        _require_connections(network, layer, channels)
        channels = layer.channels
    elif isinstance(layer, DepthwiseConvolution):
        channels *= layer.multiplier
    return ((rows - tall) // down + 1, (columns - wide) // right + 1, channels)


def _require_connections(network: Network, layer: Convolution, channels: int) -> None:
    for channel, seen in enumerate(layer.connections or ()):
        if seen[-1] >= channels:
            raise BadInputError(
                f"the network {network.name}, layer {layer.name}: 'connections' of channel {channel} has {seen[-1]}, "
                f"but its input has the channels 0 to {channels - 1}"
            )


def _answers(network: Network, layer: Rbf, shape: Shape, classes: int) -> Shape:
    where = f"the network {network.name}, layer {layer.name}"
    if len(layer.codes) != classes:
        raise BadInputError(f"{where}: it has codes for {len(layer.codes)} classes, and the data have {classes}")
    if shape != ((size := sum(map(len, layer.codes[0]))),):
        raise BadInputError(f"{where}: its codes have {size} components, and it reads {_times(shape)} values")
    return (classes,)


def _sum(network: Network, layer: Addition, shapes: list[Shape]) -> Shape:
    first, second = shapes
    if first == second:
        return first
    advice = "a fully connected layer gives one of them as many values as the other"
    if len(first) == 3:
        advice = (
            'padding = "same" keeps the size of a map, and a convolution of window 1 with the stride and channels of '
            "one branch suits the other to it"
        )
    raise BadInputError(
        f"the network {network.name}, layer {layer.name}: {layer.inputs[0]} is {_times(first)} and "
        f"{layer.inputs[1]} is {_times(second)}; only equal shapes can be added: {advice}"
    )


def _weight_shape(layer: LayerDescription, shape: Shape, classes: int) -> Shape | None:
    if isinstance(layer, Convolution):
        return (layer.channels, shape[2], *layer.window)
    if isinstance(layer, DepthwiseConvolution):
        return (shape[2] * layer.multiplier, 1, *layer.window)
    if isinstance(layer, Subsampling):
        return (shape[2], 1, 1, 1)  # a coefficient for each map
    if isinstance(layer, FullyConnected):
        return (layer.outputs or classes, shape[0])
    if isinstance(layer, Rbf):
        return (classes, shape[0])
    return None


def _times(shape: Shape) -> str:
    return " x ".join(map(str, shape))
