"""The interface of a step of the int8 network, and the words that all steps share."""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from torch import Tensor

from lenet_edge.quantized.model import Layer, QTensor

__all__ = ["Columns", "Grid", "Step", "image_tensor"]

Grid: TypeAlias = Literal["tie-free", "ordinary"]
Columns: TypeAlias = tuple[int, ...] | None


def image_tensor(shape: tuple[int, int, int]) -> QTensor:
    """The image ``[h, w, c]`` as it enters: int8 = uint8 - 128, so ``u`` is the pixel itself."""
    return QTensor(shape, float(np.float32(1 / 255)), -128)


class Step(Protocol):
    """A step of the int8 network; ``step(u_in, ...) -> u_out`` is what the chip computes. A sum has two inputs.

    Attributes:
        name: of the layer that it becomes.
        columns: the ``(h, w, c)`` of the map that it flattens; None where it does not.
    """

    name: str
    columns: Columns

    def __call__(self, *u: Tensor) -> Tensor: ...

    def real(self, *values: Tensor) -> Tensor:
        """The same step of the float network, on real numbers."""

    def observe(self, *values: Tensor) -> Tensor:
        """As `real`; what it gives is added to the range that `fit` goes by."""

    def fit(self, *arguments: Any) -> None:
        """Set the scales, from the range and the weights as they are now.

        Args:
            arguments: the `QTensor` of each input; then the scales of what the output is added to, if there are any;
                of a layer with weights then the scale of what that sum is added to, 0 for none.
        """

    def take(self, *arguments: Any) -> None:
        """Set the scales to frozen ones; the arguments are the `QTensor` of each input and the `QatWeights`."""

    @property
    def output(self) -> QTensor:
        """What `fit` or `take` made of the input."""

    def to_layer(self, columns: Columns = None) -> Layer:
        """The frozen layer.

        Args:
            columns: the ``(h, w, c)`` of a map that was flattened in front of this
                step: PyTorch flattens in (c, h, w) order, the chip in (h, w, c).
        """
