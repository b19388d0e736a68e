"""One requantisation on the number line: on the tie-free grid, and on the grid that tools take otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.model import (
    WEIGHTED,
    FullyConnected,
    Int64Array,
    QTensor,
    Weighted,
    accumulator_bounds,
    channel_weights,
    input_ranges,
)
from lenet_edge.quantized.ordinary import ordinary_scales, to_ordinary
from lenet_edge.quantized.requantize import RULES, real_multipliers, requantize
from lenet_edge.quantized.tie_free import channel_q, to_grid
from lenet_edge.report.charts import Accumulator, NumberLine, draw_number_lines

if TYPE_CHECKING:
    from markupsafe import Markup

    from lenet_edge.quantized.model import QuantizedModel
    from lenet_edge.report.document.reading import Build

__all__ = ["Rounding", "rounding_of"]

_CHANNELS = 64  # that are looked at
_MOST = 1 << 18  # accumulators of a channel
_BESIDES = 4  # accumulators shown on either side
_SHOWN = {
    "tflm": "TFLM, CMSIS-NN",
    "ruy": "LiteRT built-in",
    "single": "one rounding",
    "float32": "XNNPACK, ONNX Runtime",
}


@dataclass(frozen=True)
class Rounding:
    """A channel of a layer, around a tie, on both grids.

    Attributes:
        layer, channel: which.
        q: of that channel on the tie-free grid.
        is_ours: whether the model itself is on the tie-free grid.
        lines: the ordinary grid's and the tie-free one's.
        differs: the accumulator that the rules decide differently on the ordinary grid; None if none was found.
        rules: how the rules are called here.
    """

    layer: str
    channel: int
    q: int
    is_ours: bool
    lines: list[NumberLine]
    differs: Accumulator | None
    rules: dict[str, str]
    chart: Markup


def rounding_of(build: Build, place: int) -> Rounding | None:
    """The first channel in which the rules part on the ordinary grid; None where a layer cannot be on both grids."""
    first = None
    for name, channel, own, low, high in _channels(build.model):
        is_ours = bool(channel_q(own).all())
        other = _moved(own, to_tie_free=not is_ours)
        if other is None:
            continue
        ordinary, grid = (other, own) if is_ours else (own, other)
        found = _parting(ordinary, low, high)
        first = first or (name, channel, ordinary, grid, is_ours, found)
        if found is not None:
            first = (name, channel, ordinary, grid, is_ours, found)
            break
    return None if first is None else _rounding(*first, place=place)


def _rounding(
    name: str,
    channel: int,
    ordinary: FullyConnected,
    grid: FullyConnected,
    is_ours: bool,
    found: int | None,
    *,
    place: int,
) -> Rounding:
    q = int(channel_q(grid)[0])
    near = found if found is not None else 0
    above = _line("Ordinary grid", ordinary, near, 1)
    # The tie-free accumulator that stands for the same value.
    same = round(near * float(real_multipliers(ordinary)[0]) * 2 * q)
    below = replace(_line("Tie-free grid", grid, same - same % 2, 2), margin=0.5 / q)
    differs = next((each for each in above.accumulators if not each.agreed), None)
    title = f"Layer {name}, channel {channel}: accumulators around a rounding tie on the ordinary and the tie-free grid"
    chart = draw_number_lines([above, below], f"rounding-{place}", title)
    return Rounding(name, channel, q, is_ours, [above, below], differs, _SHOWN, chart)


def _channels(model: QuantizedModel) -> Iterator[tuple[str, int, FullyConnected, int, int]]:
    """(layer, channel, that channel alone, the range of its inputs), a few of each layer."""
    for layer, (low, high) in zip(model.layers, input_ranges(model), strict=True):
        if isinstance(layer, WEIGHTED):
            for channel in range(min(len(layer.bias), _CHANNELS)):
                yield layer.name, channel, _alone(layer, channel), low, high


def _alone(layer: Weighted, channel: int) -> FullyConnected:
    """One channel as a layer; what it adds up is the same."""
    weights = channel_weights(layer)[channel : channel + 1]
    return FullyConnected(
        layer.name,
        QTensor((weights.shape[1],), layer.input.scale, layer.input.zero_point),
        QTensor((1,), layer.output.scale, layer.output.zero_point),
        weights.astype(np.int8),
        layer.bias[channel : channel + 1].copy(),
        np.array([layer.weight_scales[channel if len(layer.weight_scales) > 1 else 0]], np.float32),
        clamp_min=layer.clamp_min,
        clamp_max=layer.clamp_max,
    )


def _moved(own: FullyConnected, *, to_tie_free: bool) -> FullyConnected | None:
    """The same real weights on the other grid; None where they do not fit."""
    steps = own.weight_scales.astype(np.float64)
    real = own.weights.astype(np.float64) * steps[:, None]
    bias = own.bias.astype(np.float64) * own.input.scale * steps
    try:
        if to_tie_free:
            grid = to_grid(real, bias, own.input.scale, own.output.scale)
            moved: Any = (grid.weights, grid.bias, grid.weight_scales)
        else:
            scales = ordinary_scales(real)
            moved = (*to_ordinary(real, bias, own.input.scale, scales), scales)
    except BadInputError:
        return None
    return replace(own, weights=moved[0], bias=moved[1], weight_scales=moved[2])


def _parting(layer: FullyConnected, low: int, high: int) -> int | None:
    """The smallest accumulator in size that two rules decide differently; None if there is none."""
    least, most = (int(bound[0]) for bound in accumulator_bounds(layer, low, high))
    values = np.arange(max(least, -_MOST // 2), min(most, _MOST // 2) + 1, dtype=np.int64)
    if not len(values):
        return None
    results = _results(layer, values)
    first, *others = results.values()
    apart = np.any([first != other for other in others], axis=0)
    found = values[apart]
    return int(found[np.abs(found).argmin()]) if len(found) else None


def _results(layer: FullyConnected, values: Int64Array) -> dict[str, Int64Array]:
    return {rule: requantize(values[:, None], layer, rule)[:, 0] for rule in RULES}


def _line(title: str, layer: FullyConnected, near: int, step: int) -> NumberLine:
    """The accumulators around the tie that is nearest to `near`."""
    multiplier = float(real_multipliers(layer)[0])
    tie = np.floor(near * multiplier) + 0.5
    below = int(np.floor(tie / multiplier / step)) * step
    values = below + step * np.arange(1 - _BESIDES, _BESIDES + 1, dtype=np.int64)
    results = _results(layer, values)
    return NumberLine(
        title,
        [
            Accumulator(
                int(value), float(value * multiplier - tie), {rule: int(of[index]) for rule, of in results.items()}
            )
            for index, value in enumerate(values)
        ],
    )
