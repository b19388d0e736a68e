"""Steps that only choose and order integers, so that scale and zero point stay: max-pooling and flattening."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from lenet_edge.learning.qat_step import Columns
from lenet_edge.learning.qat_weights import QatWeights
from lenet_edge.quantized.model import Flatten, Layer, MaxPool2d, QTensor

__all__ = ["FakeQuantizedMap", "flatten", "max_pool"]


class FakeQuantizedMap(nn.Module):
    """A step that is the same on integers and on real numbers."""

    def __init__(
        self, name: str, run: Callable[[Tensor], Tensor], shape: tuple[int, ...], kind: Callable[..., Layer]
    ) -> None:
        """Args:
        run: on a batch ``[n, ...]``.
        shape: of its output, NHWC without the batch.
        kind: (name, input, output) -> the frozen layer.
        """
        super().__init__()
        self.name = name
        self.run = run
        self.shape = shape
        self.kind = kind
        self.input: QTensor | None = None

    @property
    def columns(self) -> Columns:
        return self.input.shape if self.kind is Flatten and self.input is not None else None

    def forward(self, u: Tensor) -> Tensor:
        return self.run(u)

    real = observe = forward

    def fit(self, source: QTensor, _partners: Sequence[float] = ()) -> None:
        self.input = source

    def take(self, source: QTensor, _frozen: QatWeights) -> None:
        self.input = source

    @property
    def output(self) -> QTensor:
        assert self.input is not None
        return QTensor(self.shape, self.input.scale, self.input.zero_point)

    def to_layer(self, _columns: Columns = None) -> Layer:
        assert self.input is not None
        return self.kind(self.name, self.input, self.output)


def max_pool(name: str, window: tuple[int, int], stride: tuple[int, int], shape: tuple[int, ...]) -> FakeQuantizedMap:
    """The largest value of each window, without padding; `shape` is the output's ``(h, w, c)``."""
    run = partial(F.max_pool2d, kernel_size=window, stride=stride)
    return FakeQuantizedMap(name, run, shape, partial(MaxPool2d, window=window, stride=stride))


def flatten(name: str, shape: tuple[int, ...]) -> FakeQuantizedMap:
    """A map as a vector; `shape` is the output's ``(values,)``."""
    return FakeQuantizedMap(name, partial(Tensor.flatten, start_dim=1), shape, Flatten)
