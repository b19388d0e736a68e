"""Layers of the paper that PyTorch does not have: part of the connections, one coefficient a map, fixed codes.

What a convolution multiplies with need not be the numbers that are trained: `Spread` makes the one of the other, also
where they are integers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenet_edge.networks.folding import AMPLITUDE, SLOPE

__all__ = ["Codes", "Conv2d", "ScaledTanh", "Spread", "Subsampling", "as_it_is", "between", "over_window"]

Spread: TypeAlias = Callable[[Tensor], Tensor]
"""From what a layer learns to its weights, OIHW or OI."""


def as_it_is(weight: Tensor) -> Tensor:
    """The `Spread` of most layers."""
    return weight


def between(connections: Sequence[Sequence[int]], in_channels: int) -> Spread:
    """Weights OIHW that are 0 but where an output channel's list names the input channel."""
    connected = torch.zeros(len(connections), in_channels, 1, 1)
    for channel, seen in enumerate(connections):
        connected[channel, list(seen)] = 1
    return lambda weight: weight * connected.to(weight.device)


def over_window(window: tuple[int, int]) -> Spread:
    """Coefficients ``[c, 1, 1, 1]``, each for all of its window: ``[c, 1, h, w]``."""
    return lambda weight: weight.expand(-1, -1, *window)


class Conv2d(nn.Conv2d):
    """A convolution of which channels need not see all others.

    Its zeros above and below, left and right may differ, as TFLite's "same" has them at stride 2.

    Attributes:
        surround: zeros (left, right, above, below), as `torch.nn.functional.pad` takes them; all 0 where `padding`
            says it all.
        spread: of its weight.
    """

    surround: tuple[int, int, int, int] = (0, 0, 0, 0)

    spread: Spread = staticmethod(as_it_is)

    def fan_in(self) -> Tensor:
        """How many inputs a unit of each channel sees, float ``[out]``."""
        return self.spread(torch.ones_like(self.weight)).flatten(1).sum(1)

    def forward(self, input: Tensor) -> Tensor:
        values = F.pad(input, self.surround) if any(self.surround) else input
        output: Tensor = self._conv_forward(values, self.spread(self.weight), self.bias)
        return output


class Subsampling(nn.Module):
    """The sum of each window times a coefficient, plus a bias, of each map; ``[n, c, h, w]``, without padding.

    Attributes:
        weight: the coefficients ``[c, 1, 1, 1]``.
        bias: ``[c]``.
        fan_in: how many inputs a unit sums.
    """

    def __init__(self, channels: int, window: tuple[int, int], stride: tuple[int, int]) -> None:
        super().__init__()
        self.spread, self.stride, self.fan_in = over_window(window), stride, window[0] * window[1]
        self.weight = nn.Parameter(torch.full((channels, 1, 1, 1), self.fan_in**-0.5))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.spread(self.weight), self.bias, self.stride, groups=len(self.bias))


class Codes(nn.Linear):
    """Minus the squared distance to each code, up to what is the same for all: ``2 w.x``; nothing is trained."""

    def __init__(self, codes: Sequence[Sequence[str]]) -> None:
        """Args:
        codes: for each class its bitmap, as `networks.description.Rbf` has it.
        """
        signs = torch.tensor([[1.0 if each == "#" else -1.0 for row in code for each in row] for code in codes])
        super().__init__(signs.shape[1], len(signs))
        with torch.no_grad():
            self.weight.copy_(2 * signs)
            self.bias.zero_()
        self.requires_grad_(requires_grad=False)


class ScaledTanh(nn.Module):
    """The paper's squashing, ``1.7159 tanh(2/3 x)``."""

    def forward(self, input: Tensor) -> Tensor:
        return AMPLITUDE * torch.tanh(SLOPE * input)
