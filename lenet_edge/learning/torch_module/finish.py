"""The end of a chain: the last layer must be the fully connected one that gives the logits."""

from __future__ import annotations

import math
from dataclasses import replace

from lenet_edge.learning.torch_module.chain import Chain, Layer, Misplaced
from lenet_edge.networks.description import Addition, AveragePooling, Convolution, Dropout, FullyConnected
from lenet_edge.networks.wiring import FLATTEN, IMAGE

__all__ = ["finish", "name_inputs"]

_NO_LINEAR = (
    "its last layer is not an nn.Linear that gives a value per class; end with one, such as nn.Flatten() and nn.Linear"
)


def finish(chain: Chain) -> None:
    """Make the last layer the logits'.

    Raises:
        Misplaced: it cannot be.
    """
    if chain.affine is not None or any(chain.padding):
        raise Misplaced("something scales or pads the logits; leave it out")
    _drop_dropouts(chain)
    if not chain.classifier:
        _classifier_of_convolution(chain)
    elif chain.flattened != [chain.features[-1] if chain.features else None]:
        raise Misplaced("the map that is flattened is not the last one; flatten what the convolutions end in")
    last = chain.classifier[-1]
    description = last.description
    if not isinstance(description, FullyConnected):
        raise Misplaced(_NO_LINEAR)
    if description.activation in ("relu", "relu6"):
        raise Misplaced(
            f"a {description.activation} follows the logits and makes them equal to each other; leave it out"
        )
    if description.activation != "none":
        chain.final.insert(0, description.activation)
    last.weight, last.bias = last.folded()
    last.norm = None
    last.description = FullyConnected(description.name, None)
    for name in chain.final:
        chain.notes.append(f"the {name} at the end is dropped: the outputs are the logits, whose order is the same")


def name_inputs(chain: Chain) -> None:
    """Say in the descriptions which layers they read, where that is not the one before."""
    for begin, layers in ((IMAGE, chain.features), (FLATTEN, chain.classifier)):
        before = begin
        for layer in layers:
            names = [source.description.name if source in layers else begin for source in layer.sources]
            if isinstance(layer.description, Addition):
                layer.description = replace(layer.description, inputs=(names[0], names[1]))
            elif names != [before]:
                layer.description = replace(layer.description, input=names[0])
            before = layer.description.name


def _drop_dropouts(chain: Chain) -> None:
    """Dropout behind the logits, or between a last convolution and its pooling, has no layer that it could help."""
    while chain.classifier and isinstance(chain.classifier[-1].description, Dropout):
        del chain.classifier[-1]
    if not chain.classifier:
        while chain.features and isinstance(chain.features[-1].description, Dropout):
            del chain.features[-1]


def _classifier_of_convolution(chain: Chain) -> None:
    """A last convolution that sees a whole map, or is averaged over it, as the fully connected layer that it is."""
    layers = [layer for layer in chain.features if not isinstance(layer.description, Dropout)]
    mean: Layer | None = None
    if layers and _sees_one_place(layers[-1]):
        convolution = layers[-1]
        shape = convolution.input_shape
    elif len(layers) > 1 and _is_mean(layers[-1]) and _is_pointwise(layers[-2]):
        # The mean of what a 1x1 convolution gives is what it gives for the mean.
        convolution = layers[-2]
        shape = convolution.input_shape[:1]
        mean = layers[-1]
        mean.input_shape, mean.sources = convolution.input_shape, convolution.sources
    else:
        raise Misplaced(_NO_LINEAR)
    description, weight = convolution.description, convolution.weight
    assert isinstance(description, Convolution)
    assert weight is not None
    chain.features.remove(convolution)
    connected = FullyConnected(
        description.name, description.channels, description.activation, batch_norm=description.batch_norm
    )
    flat = weight.reshape(len(weight), -1)
    sources = convolution.sources if mean is None else (mean,)
    chain.classifier.append(Layer(connected, (math.prod(shape),), flat, convolution.bias, convolution.norm, sources))


def _sees_one_place(layer: Layer) -> bool:
    description = layer.description
    return (
        isinstance(description, Convolution)
        and description.padding == "valid"
        and description.window == layer.input_shape[1:]
    )


def _is_mean(layer: Layer) -> bool:
    return isinstance(layer.description, AveragePooling) and (
        layer.description.window is None and layer.description.activation == "none"
    )


def _is_pointwise(layer: Layer) -> bool:
    description = layer.description
    return (
        isinstance(description, Convolution)
        and (description.window, description.stride) == ((1, 1), (1, 1))
        and (description.padding, description.activation) == ("valid", "none")
    )
