"""Tensors that have one scale, since only values move between them."""

from __future__ import annotations

from lenet_edge.quantized.layers import (
    AveragePool2d,
    Concatenate,
    Flatten,
    Layer,
    Lookup,
    MaxPool2d,
    Pad,
    QTensor,
    Rescale,
    Reshape,
    Slice,
    Softmax,
    Transpose,
)
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.retie.averages import averaged_values

__all__ = ["Groups", "tensor_of"]

_MOVES = (MaxPool2d, Flatten, Reshape, Pad, Slice, Transpose, Concatenate)
_NEAR = 1.25  # scales that become one where that saves a rounding: the narrower one then loses a third of a bit


def tensor_of(model: QuantizedModel, source: int) -> QTensor:
    """The tensor of a layer, or an input of the model, as `QuantizedModel.reads` names it."""
    return model.layers[source].output if source >= 0 else model.inputs[-1 - source]


class Groups:
    """The groups of a model's tensors.

    Attributes:
        fixed: group -> its scale, where that is not ours to choose: of the model's inputs, of what tables and SOFTMAX
            give.
    """

    def __init__(self, model: QuantizedModel) -> None:
        """All that layers tie together; then QUANTIZE, RELU and RELU6 between scales that can become one."""
        self._model = model
        self._parent = {source: source for source in range(-len(model.inputs), len(model.layers))}
        rescales = []
        for index, (layer, reads) in enumerate(zip(model.layers, model.reads, strict=True)):
            if _keeps_scale(layer):
                for source in reads:
                    self._parent[self.of(source)] = self.of(index)
            elif isinstance(layer, Rescale) and layer.operator != "LEAKY_RELU":
                rescales.append((reads[0], index))
        self._scales = {self.of(source): tensor_of(model, source).scale for source in self._parent}
        self.fixed = {
            self.of(source): tensor_of(model, source).scale for source in self._parent if self._is_given(source)
        }
        for source, target in rescales:
            self._join(self.of(source), self.of(target))

    def of(self, source: int) -> int:
        """The group of a tensor: one of its sources."""
        while self._parent[source] != source:
            source = self._parent[source]
        return source

    def _is_given(self, source: int) -> bool:
        return source < 0 or isinstance(self._model.layers[source], (Lookup, Softmax))

    def _join(self, one: int, other: int) -> None:
        """Make two groups one, if neither becomes much wider, and no scale that is given changes or is too narrow."""
        scales = [self.fixed.get(group, self._scales[group]) for group in (one, other)]
        given = {self.fixed[group] for group in (one, other) if group in self.fixed}
        scale = max(scales)
        if one == other or scale > _NEAR * min(scales) or (given and given != {scale}):
            return
        self._parent[one] = other
        self._scales[other] = scale
        if given:
            self.fixed[other] = scale


def _keeps_scale(layer: Layer) -> bool:
    """Whether the layer only moves values: an average that cannot be a convolution stays between equal scales, too."""
    return isinstance(layer, _MOVES) or (isinstance(layer, AveragePool2d) and not averaged_values(layer))
