"""The end of a chain: the last layer must be the fully connected one that gives the logits."""

from __future__ import annotations

import math

from lenet_edge.learning.torch_module.chain import Chain, Layer, Misplaced
from lenet_edge.networks.description import AveragePooling, Convolution, Dropout, FullyConnected

__all__ = ["finish"]

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
    last = chain.classifier[-1]
    description = last.description
    assert isinstance(description, FullyConnected)
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
    if layers and _sees_one_place(layers[-1]):
        convolution = layers[-1]
        shape = convolution.input_shape
    elif len(layers) > 1 and _is_mean(layers[-1]) and _is_pointwise(layers[-2]):
        # The mean of what a 1x1 convolution gives is what it gives for the mean.
        convolution = layers[-2]
        shape = convolution.input_shape[:1]
        layers[-1].input_shape = convolution.input_shape
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
    chain.classifier.append(Layer(connected, (math.prod(shape),), flat, convolution.bias, convolution.norm))


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
