"""How far the outputs of a step reach, and the scale and the clamp that follow from it and its activation."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from lenet_edge.networks.description import Activation
from lenet_edge.quantized.model import QTensor

__all__ = ["OutputRange"]

_SMOOTHING = 0.98  # of the running average of batch maxima
_SMALLEST_REACH = 1e-6
# Beyond it int8 sigmoid or tanh is at its first or last value: logit(0.5 / 256) = -6.24, artanh(1 - 0.5 / 128) = 3.12.
_REACH = {"sigmoid": 6.3, "tanh": 3.2}
_LOGIT_HEADROOM = 1.05
_CLAMPS = ("relu", "relu6")


class OutputRange:
    """The range of a step's outputs before its activation, as batches show it.

    Attributes:
        activation: what follows the step; a ReLU or ReLU6 is its clamp.
        reach: the largest real output, in magnitude where both signs count; None before any batch.
    """

    def __init__(self, activation: Activation) -> None:
        self.activation = activation
        self.reach: float | None = None

    def observe(self, largest: float, smallest: float) -> None:
        """Add a batch: its largest and smallest real output."""
        reach = largest if self.activation in _CLAMPS else max(largest, -smallest)
        reach = min(reach, 6) if self.activation == "relu6" else reach
        before = reach if self.reach is None else self.reach
        self.reach = _SMOOTHING * before + (1 - _SMOOTHING) * reach

    def scaling(self, *, is_positive: bool) -> tuple[float, int]:
        """Scale and zero point that the range asks for; `is_positive` says that no output is below zero."""
        assert self.reach is not None
        reach = max(self.reach, _SMALLEST_REACH)
        if self.activation in _CLAMPS or (is_positive and self.activation == "none"):
            return reach / 255, -128
        if self.activation != "none":
            return min(reach, _REACH[self.activation]) / 127, 0
        return reach * _LOGIT_HEADROOM / 127, 0

    def clamp(self, output: QTensor) -> tuple[int, int]:
        """The int8 bounds that the activation is; 6 as TFLite rounds it (`formats.tflite.schema.activation_clamp`)."""
        if self.activation not in _CLAMPS:
            return -128, 127
        highest = 127
        if self.activation == "relu6":
            steps = np.floor(np.float32(6) / np.float32(output.scale) + np.float32(0.5))
            highest = int(min(127, output.zero_point + steps))
        return output.zero_point, highest

    def activated(self, outputs: Tensor) -> Tensor:
        """Real outputs behind a ReLU or ReLU6; other activations are steps of their own."""
        if self.activation == "relu6":
            return outputs.clamp(0, 6)
        return outputs.relu() if self.activation == "relu" else outputs
