"""Sigmoid and tanh on integers: a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from lenet_edge.learning.qat_step import Columns
from lenet_edge.learning.qat_weights import QatWeights
from lenet_edge.quantized.lookup import OUTPUT_SCALING, reference_table
from lenet_edge.quantized.model import Lookup, QTensor

__all__ = ["FakeQuantizedLookup"]


class FakeQuantizedLookup(nn.Module):
    """Sigmoid or tanh by its table: ``u_in -> u_out``; the gradient is that of the function."""

    columns: Columns = None

    def __init__(self, name: str, function: Literal["sigmoid", "tanh"]) -> None:
        super().__init__()
        self.name = name
        self.function = function
        self.input: QTensor | None = None
        self.table: Tensor
        self.register_buffer("table", torch.zeros(256), persistent=False)

    def real(self, values: Tensor) -> Tensor:
        return torch.tanh(values) if self.function == "tanh" else torch.sigmoid(values)

    observe = real

    def fit(self, source: QTensor, _partners: Sequence[float] = ()) -> None:
        """Take the table for an input of that scale and zero point into use; its output's scale is always the same."""
        self.input = source
        centred = reference_table(self.function, source).astype(np.float32) - self.output.zero_point
        self.table = torch.from_numpy(centred).to(self.table.device)

    def take(self, source: QTensor, _frozen: QatWeights) -> None:
        self.fit(source)

    @property
    def output(self) -> QTensor:
        assert self.input is not None
        scale, zero_point = OUTPUT_SCALING[self.function]
        return QTensor(self.input.shape, scale, zero_point)

    def forward(self, u: Tensor) -> Tensor:
        assert self.input is not None
        exact = self.table[(u.detach() + (self.input.zero_point + 128)).long()]
        approximate = self.real(u * self.input.scale) / self.output.scale
        return approximate + (exact - approximate).detach()

    def to_layer(self, _columns: Columns = None) -> Lookup:
        assert self.input is not None
        return Lookup(self.name, self.input, self.output, self.function, reference_table(self.function, self.input))
