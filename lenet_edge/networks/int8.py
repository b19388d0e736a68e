"""What of a network int8 can express: its padding as TFLite has it, and averages that have no ties.

TFLite's padding is "same" or "valid". Other padding, such as PyTorch's 1 around a window of 3 x 3 at stride 2, is
"same" of a window that has zero rows and columns in addition: 4 x 4 there, on a map of even size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from lenet_edge.errors import BadInputError
from lenet_edge.networks import shapes, wiring
from lenet_edge.networks.description import (
    Addition,
    AveragePooling,
    Convolution,
    DepthwiseConvolution,
    Dropout,
    ImageShape,
    LayerDescription,
    Network,
    Subsampling,
)

__all__ = ["LARGEST_AVERAGE", "Int8Window", "int8_window", "require_int8"]

LARGEST_AVERAGE = 900
"""Values in the window of an average or a subsampling: beyond, no multiplier 1/(2q) is small enough."""

_Axis: TypeAlias = tuple[int, int, int, int, int]  # size, window, stride, zeros before and after


@dataclass(frozen=True)
class Int8Window:
    """How int8 has a layer's window and padding.

    Attributes:
        padding: "same" or "valid", as TFLite defines them.
        zeros: rows of zero weights above and below the window, and columns left and right of it.
    """

    padding: Literal["same", "valid"]
    zeros: tuple[int, int, int, int] = (0, 0, 0, 0)


def int8_window(windows: shapes.Windows, height: int, width: int) -> Int8Window | None:
    """The window on a map of that size that gives the same as `windows`; None where there is none."""
    (tall, wide), (down, right), (top, bottom, left, aside) = windows
    axes: tuple[_Axis, _Axis] = ((height, tall, down, top, bottom), (width, wide, right, left, aside))
    if top == left == 0 and all(_beyond(*axis) <= 0 for axis in axes):
        return Int8Window("valid")
    zeros = [_zeros_for_same(*axis) for axis in axes]
    if zeros[0] is None or zeros[1] is None:
        return None
    return Int8Window("same", zeros[0] + zeros[1])


def require_int8(network: Network, image_shape: ImageShape, classes: int) -> None:
    """Refuse what could be trained but not quantised, before it is trained.

    Raises:
        BadInputError: naming the layer; also as `shapes.output_shapes`.
    """
    inputs = shapes.input_shapes(network, image_shape, classes)
    _require_additions(network, image_shape, classes)
    for layer in network.features:
        if not isinstance(layer, (Convolution, DepthwiseConvolution, AveragePooling, Subsampling)):
            continue
        height, width = inputs[layer.name][:2]
        windows = shapes.windows(layer, height, width)
        where = f"the network {network.name}, layer {layer.name}"
        tall, wide = windows[0]
        if isinstance(layer, (AveragePooling, Subsampling)):
            if tall * wide > LARGEST_AVERAGE:
                kind = "average" if isinstance(layer, AveragePooling) else "subsampling"
                raise BadInputError(
                    f"{where}: the {kind} of {tall} x {wide} values is beyond int8, which takes up to "
                    f"{LARGEST_AVERAGE}; pool in two steps"
                )
        elif int8_window(windows, height, width) is None:
            raise BadInputError(
                f"{where}: TFLite has no such padding: {layer.padding} around a window of {tall} x {wide} at stride "
                f'{windows[1][0]} x {windows[1][1]} on a map of {height} x {width}; take "same" or "valid"'
            )


def _require_additions(network: Network, image_shape: ImageShape, classes: int) -> None:
    """Refuse sums whose scales or order of values int8 cannot match."""
    layers = {layer.name: layer for layer in (*network.features, *network.classifier)}
    origins = wiring.origins(network)
    maps: shapes.Shape = image_shape
    if network.features:
        maps = shapes.output_shapes(network, image_shape, classes)[network.features[-1].name]
    flat = {wiring.FLATTEN} if maps[:2] != (1, 1) else set()
    for layer in layers.values():
        sources = wiring.reads(network)[layer.name]
        if isinstance(layer, Dropout) and flat & set(sources):
            flat.add(layer.name)
        if not isinstance(layer, Addition):
            continue
        where = f"the network {network.name}, layer {layer.name}"
        if flat & set(sources):
            raise BadInputError(
                f"{where}: values of a flattened map of {maps[0]} x {maps[1]} cannot be added to others, whose order "
                "is not that of a map; add maps before they are flattened, or average them first"
            )
        kinds = {_given_scale(layers.get(origins[source])) for source in sources}
        if kinds >= {"image", "table"}:
            raise BadInputError(
                f"{where}: one input is the image, the other a sigmoid or tanh; int8 fixes the scales of both, and "
                "no sum of the two is without ties; put a convolution of window 1 behind one of them"
            )


def _given_scale(layer: LayerDescription | None) -> str:
    """What fixes the scale of a layer's output on int8: "image" for None, "table", or nothing."""
    if layer is None:
        return "image"
    return "table" if getattr(layer, "activation", "none") in ("sigmoid", "tanh", "scaled-tanh") else ""


def _outputs(size: int, window: int, stride: int, before: int, after: int) -> int:
    return (size + before + after - window) // stride + 1


def _beyond(size: int, window: int, stride: int, before: int, after: int) -> int:
    """How many rows before and behind the map the windows reach in all; negative where some rows are not seen."""
    return (_outputs(size, window, stride, before, after) - 1) * stride + window - size


def _zeros_for_same(size: int, window: int, stride: int, before: int, after: int) -> tuple[int, int] | None:
    """Zero rows before and behind the window with which TFLite's "same" starts at ``-before``.

    "Same" gives ``ceil(size / stride)`` outputs, and puts half of what its windows reach beyond the map, rounded
    down, before it (`window_padding`).
    """
    if _outputs(size, window, stride, before, after) != -(-size // stride):
        return None
    beyond = _beyond(size, window, stride, before, after)
    if before == 0 and beyond <= 0:
        return 0, 0
    front = max(0, beyond - 2 * before - 1)
    return front, max(0, 2 * before + front - beyond)
