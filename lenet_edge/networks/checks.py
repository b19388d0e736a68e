"""What a network's description must be beyond the types and ranges of its keys."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lenet_edge import strict_toml
from lenet_edge.errors import BadInputError
from lenet_edge.networks import folding, wiring
from lenet_edge.networks.description import (
    Addition,
    AveragePooling,
    Convolution,
    DepthwiseConvolution,
    Dropout,
    FullyConnected,
    LayerDescription,
    MaxPooling,
    Network,
    Rbf,
    Subsampling,
)

__all__ = ["validate"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
_LAYER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_MOST_LAYERS = 500
# What the torch module and the int8 model call their own steps after a layer, or between the modules.
_RESERVED = (wiring.FLATTEN, wiring.IMAGE)
_SUFFIXES = ("_squash", "_norm", "_pad")


def validate(network: Network, where: str) -> None:
    """Check a description as a whole; `where` is what messages call it, such as its file.

    Raises:
        BadInputError: the first thing that is wrong: where it is, and what to do.
    """
    for problem in _problems(network):
        raise BadInputError(f"{where}: {problem}")


def _problems(network: Network) -> Iterator[str]:
    if not _NAME.fullmatch(network.name):
        yield (
            f"the name {network.name[:80]!r} cannot be that of files; use up to 60 letters, digits and _ . -, "
            "beginning with a letter or digit"
        )
    if network.input is not None and network.input[2] not in (1, 3):
        yield f"'input' has {network.input[2]} channels; give 1 (grey) or 3 (colour)"
    yield from _name_problems([layer.name for layer in (*network.features, *network.classifier)])
    for layer in network.features:
        yield from _feature_problems(layer)
    yield from _classifier_problems(network.classifier)
    for begin, layers, others in (
        (wiring.IMAGE, network.features, network.classifier),
        (wiring.FLATTEN, network.classifier, network.features),
    ):
        yield from _input_problems(begin, layers, others)
    yield from _unread_problems(network)
    yield from folding.squashing_problems(network)


def _name_problems(names: list[str]) -> Iterator[str]:
    if len(names) > _MOST_LAYERS:
        yield f"it has {len(names)} layers; at most {_MOST_LAYERS} are read"
    for index, name in enumerate(names):
        if not _LAYER_NAME.fullmatch(name):
            yield f"layer {name[:80]!r}: its name must be a letter, then up to 39 letters, digits and _"
        if name in names[:index]:
            yield f"two layers have the name {name!r}; files and messages go by it, so rename one"
        if name in _RESERVED or name.endswith(_SUFFIXES):
            yield f"layer {name}: that name is one of lenet-edge's own steps; choose another"


def _feature_problems(layer: LayerDescription) -> Iterator[str]:
    where = f"layer {layer.name}:"
    if isinstance(layer, (FullyConnected, Rbf)):
        kind = "an rbf" if isinstance(layer, Rbf) else "a fully connected layer"
        yield f"{where} {kind} belongs to [[classifier]]"
    if isinstance(layer, Convolution) and layer.connections is not None:
        yield from _connection_problems(where, layer, layer.connections)
    if isinstance(layer, AveragePooling) and layer.window is None and layer.stride is not None:
        yield f"{where} 'stride' has no meaning without 'window': the window is the whole map; leave it out"
    if isinstance(layer, (Convolution, DepthwiseConvolution)) and isinstance(layer.padding, tuple):
        for padding, window in zip(layer.padding, layer.window, strict=True):
            if padding >= window:
                yield (
                    f"{where} a padding of {padding} is not smaller than its window of {window}: whole windows would "
                    f"see nothing but zeros; give at most {window - 1}"
                )


def _connection_problems(where: str, layer: Convolution, connections: tuple[tuple[int, ...], ...]) -> Iterator[str]:
    if len(connections) != layer.channels:
        yield (
            f"{where} 'connections' has {len(connections)} lists; give one for each of the {layer.channels} channels "
            "of its output"
        )
    for channel, inputs in enumerate(connections):
        if not inputs or list(inputs) != sorted(set(inputs)):
            yield (
                f"{where} 'connections' of channel {channel} is {list(inputs)[:20]}; give the channels that it sees, "
                "at least one, each once, in ascending order"
            )


def _rbf_problems(layer: Rbf) -> Iterator[str]:
    where = f"layer {layer.name}: 'codes'"
    sizes = {(len(code), *map(len, code)) for code in layer.codes}
    if len(layer.codes) < 2 or len(sizes) > 1 or len(set(map(len, layer.codes[0]))) != 1:
        yield f"{where} must be a bitmap for each class, at least 2, all with as many rows and columns"
    for number, code in enumerate(layer.codes):
        if others := sorted(set("".join(code)) - set("#.")):
            yield f"{where} of class {number} has {others[0]!r}; give rows of # (+1) and . (-1)"
        if code in layer.codes[:number]:
            yield f"{where} of class {number} is that of class {layer.codes.index(code)}; nothing could tell them apart"


def _classifier_problems(layers: tuple[LayerDescription, ...]) -> Iterator[str]:
    for layer in layers:
        if isinstance(layer, Rbf):
            yield from _rbf_problems(layer)
            if layer is not layers[-1]:
                yield f"layer {layer.name}: an rbf gives the logits, so it is the last layer; move it"
        if isinstance(layer, (Convolution, DepthwiseConvolution, MaxPooling, AveragePooling, Subsampling)):
            yield f"layer {layer.name}: convolutions and poolings belong to [[features]]; maps are flattened before"
    last = layers[-1] if layers else None
    if not isinstance(last, (FullyConnected, Rbf)):
        yield 'it must end in a [[classifier]] of type "fully-connected" or "rbf", which gives the logits'
    for layer in layers:
        if isinstance(layer, FullyConnected) and layer.outputs is None and layer is not last:
            yield f"layer {layer.name}: 'outputs' is missing; only the last layer has as many as there are classes"
    if isinstance(last, FullyConnected):
        where = f"layer {last.name}:"
        if last.outputs is not None:
            yield f"{where} the last layer has as many outputs as there are classes; leave 'outputs' out"
        if last.activation != "none":
            yield f"{where} nothing follows the last layer, which gives the logits; leave 'activation' out"
        if last.batch_norm:
            yield f"{where} the logits are not normalised; leave 'batch_norm' out"
    if any(isinstance(layer, Dropout) and layer is last for layer in layers):
        yield "a dropout after the logits has no meaning"


def _input_problems(
    begin: str, layers: tuple[LayerDescription, ...], others: tuple[LayerDescription, ...]
) -> Iterator[str]:
    """Of the layers that a module's layers name; `others` are those of the other module."""
    earlier, later = [begin], [layer.name for layer in layers]
    elsewhere = {layer.name for layer in others} | {wiring.IMAGE, wiring.FLATTEN} - {begin}
    for layer in layers:
        named = wiring.named_inputs(layer)
        for name in named:
            where = f"layer {layer.name}: its input {name[:80]!r}"
            if name in earlier:
                continue
            if name == layer.name:
                yield f"{where} is the layer itself; name an earlier one"
            elif name in later:
                yield f"{where} comes after it; a layer reads earlier ones, so move one of the two"
            elif name in elsewhere:
                yield f"{where} is not in its module, whose layers read one another and {begin!r}"
            else:
                yield f"{where} is no layer.{strict_toml.nearest(name, earlier)}"
        if isinstance(layer, Addition) and named[0] == named[1]:
            yield f"layer {layer.name}: 'inputs' has {named[0]!r} twice; give the names of two layers"
        earlier.append(layer.name)


def _unread_problems(network: Network) -> Iterator[str]:
    read = wiring.readers(network)
    for layer in (*network.features, *network.classifier[:-1]):
        if layer.name not in read:
            yield (
                f"layer {layer.name}: nothing reads it; name it in the 'input' of a layer or the 'inputs' of an add, "
                "or leave it out"
            )
