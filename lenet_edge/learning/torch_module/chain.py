"""Operations put together to layers: a convolution with its normalisation and activation is one.

Branches are chains that begin where the value is that they read. What several operations read stays as it is: a
normalisation or an activation that only one of them sees becomes a layer of its own.

Arrays here are float64; what is exact in real numbers is done, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from lenet_edge.learning.torch_module.affine import Affine, Array, BatchNorm, behind, scaled
from lenet_edge.networks.description import (
    Activation,
    Addition,
    AveragePooling,
    Convolution,
    DepthwiseConvolution,
    Dropout,
    FullyConnected,
    LayerDescription,
    MaxPooling,
    Padding,
    Rbf,
)

__all__ = ["Chain", "Layer", "Misplaced", "Unsupported", "Value"]

Weighted: TypeAlias = Convolution | DepthwiseConvolution | FullyConnected

_LONGEST_NAME = 30  # leaves room for what makes it unique
_RESERVED = ("flatten", "image")  # as `networks.checks` has it
_SUFFIXES = ("_squash", "_norm", "_pad")


class Unsupported(Exception):  # noqa: N818  # a signal: caught where the line is known
    """An operation that no description can express; the message says what to do instead."""


class Misplaced(Unsupported):
    """One that would be supported elsewhere; not worth saying behind an unsupported one."""


@dataclass(eq=False)
class Layer:
    """A layer, and what its weights are where it has any.

    Attributes:
        weight: OIHW or OI.
        input_shape: channels, height, width, or values.
        sources: the layers that it reads; None is the images.
        is_shared: whether more than one operation reads what it gives, so that it must stay as it is.
    """

    description: LayerDescription
    input_shape: tuple[int, ...]
    weight: Array | None = None
    bias: Array | None = None
    norm: BatchNorm | None = None
    sources: tuple[Layer | None, ...] = ()
    is_shared: bool = False

    def folded(self) -> tuple[Array, Array]:
        """Weight and bias with the normalisation in them."""
        assert self.weight is not None
        assert self.bias is not None
        if self.norm is None:
            return self.weight, self.bias
        return scaled(self.weight, self.bias, self.norm.affine())


@dataclass(frozen=True, eq=False)
class Value:
    """What an operation gave: the layer, and what waits for the next one, as `Chain` has them."""

    last: Layer | None
    affine: Affine | None
    affine_name: str
    padding: tuple[int, int, int, int]


@dataclass(eq=False)
class Chain:
    """The layers so far, and what waits for the next one.

    Attributes:
        last: the layer that gave what flows now; None is the images.
        values: what operations gave, by their names.
        flattened: the layers, or None, whose maps were flattened.
        features, classifier: the two modules.
        notes: what the user should know.
        final: what followed the logits and was dropped, such as ``softmax``.
        affine: a normalisation that goes into the next layer, or becomes one.
        padding: zeros left, right, above, below that the next convolution adds.
        lost: an operation was unsupported, so that what follows may look misplaced.
    """

    shape: tuple[int, ...]
    features: list[Layer] = field(default_factory=list)
    classifier: list[Layer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    final: list[str] = field(default_factory=list)
    affine: Affine | None = None
    affine_name: str = "normalize"
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    lost: bool = False
    last: Layer | None = None
    values: dict[str, Value] = field(default_factory=dict)
    flattened: list[Layer | None] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)

    @property
    def layers(self) -> list[Layer]:
        """Those of both modules."""
        return self.features + self.classifier

    def save(self, name: str, readers: int) -> None:
        """Keep what flows now under the name of the operation that gave it."""
        if readers > 1 and self.last is not None:
            self.last.is_shared = True
        self.values[name] = Value(self.last, self.affine, self.affine_name, self.padding)

    def resume(self, name: str, shape: tuple[int, ...]) -> None:
        """Go on from what an operation of that name gave; its shape is without the batch."""
        value = self.values[name]
        self.last, self.affine, self.affine_name = value.last, value.affine, value.affine_name
        self.padding, self.shape = value.padding, shape

    def name(self, path: str, kind: str) -> str:
        """A name of letters, digits and _ that no other layer has, made from a module's path.

        ``conv1`` stays; ``features.0`` is conv0, since it stands in the features anyway; without a path
        it is the kind and a number.
        """
        parts = [re.sub(r"\W", "_", part, flags=re.ASCII) for part in path.split(".") if part]
        if len(parts) > 1 and parts[0] in ("features", "classifier"):
            parts = parts[1:]
        base = "_".join(parts)
        if not base:
            numbers = range(1, len(self._names) + 2)
            base = next(f"{kind}{number}" for number in numbers if f"{kind}{number}".lower() not in self._names)
        elif not base[0].isalpha():
            base = f"{kind}{base}"
        base = base[:_LONGEST_NAME]
        if base in _RESERVED or base.endswith(_SUFFIXES):
            base = f"{base}_layer"
        found, number = base, 2
        while found.lower() in self._names:
            found, number = f"{base}_{number}", number + 1
        self._names.add(found.lower())
        return found

    # --- layers with weights ----------------------------------------------------------------------

    def convolution(self, description: Convolution | DepthwiseConvolution, weight: Array, bias: Array) -> None:
        """Append a convolution, and what waits in front of it."""
        description = replace(description, padding=self._total_padding(description))
        self.padding = (0, 0, 0, 0)
        if isinstance(description.padding, tuple) and any(
            zeros >= extent for zeros, extent in zip(description.padding, description.window, strict=True)
        ):
            raise Unsupported("its padding is not smaller than its window; whole windows would see only zeros")
        if self.affine is not None and not _pads(description):
            depthwise = isinstance(description, DepthwiseConvolution)
            weight, bias = behind(weight, bias, self.affine, depthwise=depthwise)
            self.affine = None
        self._settle()
        self._append(Layer(description, self.shape, weight, bias))

    def fully_connected(self, name: str, weight: Array, bias: Array) -> None:
        """Append a fully connected layer."""
        self._require_no_padding()
        if len(self.shape) != 1:
            raise Misplaced("Linear stands before the maps are flattened; put nn.Flatten() in front of it")
        if self.affine is not None:
            affine, self.affine = self.affine, None
            weight, bias = behind(weight, bias, affine, depthwise=False)
        self._append(Layer(FullyConnected(name, len(weight)), self.shape, weight, bias))

    def batch_norm(self, name: str, norm: BatchNorm) -> None:
        """Normalise what the last layer gives, or append a layer that does nothing else."""
        self._require_no_padding()
        last = self._last_weighted()
        if self.affine is None and last is not None and last.norm is None:
            last.norm = norm
            last.description = replace(_weighted(last), batch_norm=True)
        elif len(self.shape) == 1:
            if self.affine is not None:
                raise Misplaced("two normalisations follow each other; leave one out")
            self.affine, self.affine_name = norm.affine(), name
            self.notes.append(
                f"the batch normalisation {name} does not follow a layer directly: it is in the weights of the next "
                "layer, and is not trained"
            )
        else:
            self._settle()
            self._append(self._own(name, np.ones(self.shape[0]), np.zeros(self.shape[0])))
            own = self.features[-1]
            own.norm, own.description = norm, replace(_weighted(own), batch_norm=True)
            self.notes.append(f"the batch normalisation {name} does not follow a layer directly: it is one of its own")

    def scale(self, name: str, affine: Affine) -> None:
        """Multiply and add constants: in the weights before it or after it, else by a layer of its own."""
        self._require_no_padding()
        last = self._last_weighted()
        if self.affine is not None:
            first = self.affine
            self.affine = Affine(first.scale * affine.scale, first.shift * affine.scale + affine.shift)
        elif last is None:
            self.affine, self.affine_name = affine, name
        elif last.norm is not None:
            norm = last.norm
            last.norm = replace(norm, weight=norm.weight * affine.scale, bias=norm.bias * affine.scale + affine.shift)
        else:
            assert last.weight is not None
            assert last.bias is not None
            last.weight, last.bias = scaled(last.weight, last.bias, affine)

    # --- layers without weights -------------------------------------------------------------------

    def pooling(self, description: MaxPooling | AveragePooling) -> None:
        """Append a pooling."""
        self._require_no_padding()
        self._settle()
        self._append(Layer(description, self.shape))

    def dropout(self, description: Dropout) -> None:
        """Append a dropout; a normalisation that waits may pass it."""
        self._append(Layer(description, self.shape))

    def activation(self, function: Activation) -> None:
        """Apply a function to each value, before a max-pooling in front of it: both orders give the same."""
        self._require_no_padding()
        self._settle()
        layer = self._before_activation()
        if layer is not None:
            assert not isinstance(layer.description, (MaxPooling, Dropout, Rbf))
            layer.description = replace(layer.description, activation=_both(layer.description.activation, function))
            return
        if self.last is not None:
            self._append_copy(function)
            return
        if function not in ("relu", "relu6"):
            raise Misplaced(f"{function} stands before any layer; put it after a convolution or a Linear")
        self.notes.append(f"the {function} in front of all layers does nothing to images in 0..1, and is left out")

    def pad(self, padding: tuple[int, int, int, int]) -> None:
        """Zeros for the next convolution: left, right, above, below."""
        self._settle()
        left, right, above, below = self.padding
        self.padding = (left + padding[0], right + padding[1], above + padding[2], below + padding[3])

    def flatten(self) -> None:
        """From maps to values, in the order channel, row, column."""
        self._require_no_padding()
        if self.last not in self.flattened:
            self.flattened.append(self.last)
        if len(self.flattened) > 1:
            raise Misplaced(
                "two different maps are flattened, and the classifier reads one; add the maps, or average them first"
            )
        if self.affine is not None and len(self.shape) == 3:
            pixels = self.shape[1] * self.shape[2]
            self.affine = Affine(np.repeat(self.affine.scale, pixels), np.repeat(self.affine.shift, pixels))

    def add(self, name: str, first: str, second: str, factor: float) -> None:
        """The value of one operation and `factor` times that of another, which has the same shape."""
        channels = self.shape[0]
        values = []
        for operation, times in ((first, 1.0), (second, factor)):
            self.resume(operation, self.shape)
            if times != 1:
                self.scale(f"{name}_factor", Affine(np.full(channels, times), np.zeros(channels)))
            self._require_no_padding()
            values.append((self.last, self.affine or Affine(np.ones(channels), np.zeros(channels))))
            if self.last is not values[0][0]:
                self._settle()
        (one, by_one), (_, by_other) = values
        if self.last is one:  # nothing but two multiples of the same
            self.affine = None
            self.scale(f"{name}_sum", Affine(by_one.scale + by_other.scale, by_one.shift + by_other.shift))
            return
        other = self.last
        self.resume(first, self.shape)
        self._settle()
        self._append(Layer(Addition(name, ("", "")), self.shape, sources=(self.last, other)))

    # --- inner ------------------------------------------------------------------------------------

    def _append(self, layer: Layer) -> None:
        self.lost = False
        layer.sources = layer.sources or (self.last,)
        self.last = layer
        (self.features if len(self.shape) == 3 else self.classifier).append(layer)

    def _last_weighted(self) -> Layer | None:
        """The last layer, if something may still go into its weights."""
        last = self.last
        if last is None or last.is_shared or last.bias is None or len(last.bias) != self.shape[0]:
            return None
        return last if _weighted(last).activation == "none" else None

    def _before_activation(self) -> Layer | None:
        """The layer that an activation can belong to; None where it must stay as it is, or there is none."""
        layer = self.last
        while layer is not None and not layer.is_shared:
            if not isinstance(layer.description, (MaxPooling, Dropout)):
                return layer
            (layer,) = layer.sources
        return None

    def _append_copy(self, function: Activation) -> None:
        """A layer that gives what it reads, with that activation: its input has other readers."""
        name, count = self.name(function, function), self.shape[0]
        layer = self._own(name, np.ones(count), np.zeros(count))
        layer.description = replace(_weighted(layer), activation=function)
        self._append(layer)
        self.notes.append(f"the {function} {name} is a layer of its own, since what it reads is read elsewhere, too")

    def _settle(self) -> None:
        """Make a layer of the normalisation that waits: a 1x1 convolution of each channel, or a diagonal matrix."""
        if self.affine is None:
            return
        name, affine, self.affine = self.name(self.affine_name, "normalize"), self.affine, None
        self._append(self._own(name, affine.scale, affine.shift))
        self.notes.append(f"{name} scales and shifts: a layer of its own, since it cannot be part of the next one")

    def _own(self, name: str, scale: Array, shift: Array) -> Layer:
        """A layer that does nothing else with each channel."""
        if len(self.shape) == 1:
            return Layer(FullyConnected(name, len(scale)), self.shape, np.diag(scale), shift)
        return Layer(DepthwiseConvolution(name, (1, 1)), self.shape, scale.reshape(-1, 1, 1, 1), shift)

    def _require_no_padding(self) -> None:
        if any(self.padding):
            raise Misplaced("zeros are added in front of something that is not a convolution; let the convolution pad")

    def _total_padding(self, description: Convolution | DepthwiseConvolution) -> Padding:
        left, right, above, below = self.padding
        if not any(self.padding):
            return description.padding
        if description.padding == "same":
            raise Misplaced('zeros are added in front of a convolution with padding="same"; give it all its padding')
        rows, columns = (0, 0) if isinstance(description.padding, str) else description.padding
        sides = (above + rows, below + rows, left + columns, right + columns)
        if sides[0] == sides[1] and sides[2] == sides[3]:
            return (sides[0], sides[2])
        size = (self.shape[1] - above - below, self.shape[2] - left - right)
        same = [_same(*axis) for axis in zip(size, description.window, description.stride, strict=True)]
        if (*same[0], *same[1]) == sides:
            return "same"
        raise Misplaced("more zeros are added on one side than on the other; pad both sides alike")


def _weighted(layer: Layer) -> Weighted:
    assert isinstance(layer.description, (Convolution, DepthwiseConvolution, FullyConnected))
    return layer.description


def _pads(description: Convolution | DepthwiseConvolution) -> bool:
    if description.padding == "same":
        return any(extent > 1 for extent in description.window)
    return description.padding not in ("valid", (0, 0))


def _same(size: int, window: int, stride: int) -> tuple[int, int]:
    """The zeros before and after that TFLite's SAME adds."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


_PAIRS: Mapping[tuple[Activation, Activation], Activation] = {
    ("relu", "relu"): "relu",
    ("relu", "relu6"): "relu6",
    ("relu6", "relu"): "relu6",
    ("relu6", "relu6"): "relu6",
    ("sigmoid", "relu"): "sigmoid",
    ("sigmoid", "relu6"): "sigmoid",
}


def _both(first: Any, second: Activation) -> Activation:
    """One activation that does what two do one after the other."""
    if first == "none":
        return second
    if (first, second) not in _PAIRS:
        raise Misplaced(f"{second} follows {first}; a layer has one activation, so leave one out")
    return _PAIRS[first, second]
