"""The tie-free grid: weights, biases and scales for which every rounding rule gives the same integer.

On the grid every int8 weight and every int32 bias is even and the multiplier
of a channel stands for ``1 / (2 q)`` with q odd. An accumulator is then
``A = 2 k`` and ``A / (2 q) = k / q`` is at least ``1 / (2 q)`` away from every
rounding tie ``n + 1/2``: ``|2 k - (2 n + 1) q|`` is even minus odd.

Two more things are needed against runtimes that round twice. The first
rounding keeps n fractional bits, ``2^-(n+1) <= M < 2^-n``, and moves a value by
at most ``2^-(n+1)``; the stored multiplier is below ``1 / (2 q)`` by up to one
step of float32, which moves a value by up to ``2^-15`` more. Where these two
together can reach the margin, a value lands on a tie of the second rounding,
and there TFLM goes away from zero and ruy (LiteRT's built-in kernels) goes up:
one of them is wrong whichever way the multiplier errs. So q may not lie just
below a power of two; `ADMISSIBLE_Q` holds those that remain.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.clamps import clamp_tie
from lenet_edge.quantized.lookup import table_problem
from lenet_edge.quantized.model import (
    WEIGHTED,
    AveragePool2d,
    Float32Array,
    Int8Array,
    Int32Array,
    Int64Array,
    Lookup,
    QTensor,
    QuantizedModel,
    Softmax,
    Weighted,
    accumulator_bounds,
    input_ranges,
)
from lenet_edge.quantized.operator_cases import ENUMERATED, tie_problem
from lenet_edge.quantized.requantize import RULES, multipliers, quantize_multiplier, real_multipliers

__all__ = [
    "ADMISSIBLE_Q",
    "LARGEST_Q",
    "LARGEST_WEIGHT",
    "GridChannels",
    "average_scale",
    "channel_q",
    "grid_scale",
    "ideal",
    "is_tie_free",
    "largest_q",
    "off_grid_problem",
    "smallest_exact_scale",
    "smallest_output_scale",
    "tie_free_problem",
    "to_grid",
    "without_last_softmax",
]

LARGEST_WEIGHT = 126
EXACT_FLOAT32 = 2**24  # below this every integer is a float32

_SUM_MARGIN = 0.9  # of 2^24, for weights that are trained further
_AVERAGE_CANDIDATES = 8  # of q for each weight

# How far below its ideal a result inside the int8 range can be: 255 output steps, which a zero point at either end
# allows, times the relative error of the multiplier: one step of the float32 weight scale (at most 2^-23) and one step
# of the Q0.31 mantissa (at most 2^-30). Beyond the range nothing can happen: every rule is monotone.
_LARGEST_RESULT = 255
_MULTIPLIER_ERROR = _LARGEST_RESULT * (Fraction(1, 2**23) + Fraction(1, 2**30))


def _is_admissible(q: int) -> bool:
    """Whether the margin ``1 / (2 q)`` exceeds what the first of two roundings and the multiplier's error can move."""
    kept_bits = (2 * q).bit_length() - 1  # 2^-(n+1) < 1/(2q) <= 2^-n
    first_rounding = Fraction(1, 2 ** (kept_bits + 1))
    return Fraction(1, 2 * q) - first_rounding > _MULTIPLIER_ERROR


ADMISSIBLE_Q = tuple(q for q in range(1, 1024, 2) if _is_admissible(q))
"""The odd q that a channel may have, ascending."""

LARGEST_Q = ADMISSIBLE_Q[-1]


def grid_scale(input_scale: float, output_scale: float, q: int) -> np.float32:
    """The largest float32 weight scale whose Q0.31 multiplier does not exceed ``1 / (2 q)``.

    The stored multiplier errs downwards only: a value that lies on a tie of the
    first rounding of two is then rounded away from zero, which is where it
    belongs. Rounding ``s_y / (2 q s_x)`` to float32 would not do; see docs/design.md 2.2.
    """
    real = output_scale / (2 * q * input_scale)
    if not float(np.finfo(np.float32).tiny) < real < 1e38:
        raise BadInputError(
            f"no float32 weight scale for input scale {input_scale}, output scale {output_scale}, q {q}"
        )
    scale = np.float32(real)
    while not _fits(input_scale, scale, output_scale, q):
        scale = np.nextafter(scale, np.float32(0))
    while _fits(input_scale, larger := np.nextafter(scale, np.float32(np.inf)), output_scale, q):
        scale = larger
    return scale


def _fits(input_scale: float, weight_scale: np.float32, output_scale: float, q: int) -> bool:
    real = np.float64(input_scale) * np.float64(weight_scale) / np.float64(output_scale)
    mantissa, shift = (int(value) for value in quantize_multiplier(real))
    return Fraction(mantissa) * Fraction(2) ** (shift - 31) * 2 * q <= 1


def largest_q(weight_magnitude: float, input_scale: float, output_scale: float) -> int:
    """The largest admissible q at which a weight of that magnitude still rounds to at most 126.

    Returns:
        q, or 0 where not even q = 1 holds the weight: the output scale must then
        be at least `smallest_output_scale`.
    """
    if 2 * input_scale * weight_magnitude == 0:
        return LARGEST_Q
    # |w| / s_w < 127 rounds to 126 on the even grid; s_w is s_y / (2 q s_x) less a rounding.
    estimate = (LARGEST_WEIGHT + 1) * output_scale / (2 * input_scale * weight_magnitude)
    for q in reversed(ADMISSIBLE_Q[: bisect_right(ADMISSIBLE_Q, estimate * (1 + 1e-6))]):
        if weight_magnitude < (LARGEST_WEIGHT + 1) * float(grid_scale(input_scale, output_scale, q)):
            return q
    return 0


def smallest_output_scale(weight_magnitude: float, input_scale: float) -> float:
    """An output scale that is wide enough for a weight of that magnitude at q = 1."""
    return 2 * input_scale * weight_magnitude / LARGEST_WEIGHT


def smallest_exact_scale(
    weights: npt.NDArray[np.float64], bias: npt.NDArray[np.float64], input_scale: float, farthest: int
) -> float:
    """The output scale from which on q = 1 keeps every accumulator below 2^24, whatever weights are rounded to.

    An accumulator is ``2 q`` of its output steps, and a weight that is rounded to its next even value, or to 0, at most
    doubles.

    Args:
        weights, bias: real, ``[channels, ...]`` and ``[channels]``.
        farthest: as of `to_grid`.
    """
    largest = np.abs(weights).reshape(len(weights), -1).sum(axis=1) * farthest * input_scale + np.abs(bias)
    return float(2 * 2 * largest.max() / (_SUM_MARGIN * EXACT_FLOAT32))


def _with_exact_sums(q: Int64Array, largest: npt.NDArray[np.float64], output_scale: float) -> Int64Array:
    """The q, lowered where a real output of magnitude `largest` would be an accumulator near 2^24: it is 2 q of its
    output steps."""
    with np.errstate(over="ignore"):  # of a channel without weights
        most = _SUM_MARGIN * EXACT_FLOAT32 / 2 * output_scale / np.maximum(largest, np.finfo(np.float64).tiny)
    lowered = [bisect_right(ADMISSIBLE_Q, value) for value in most.tolist()]
    return np.minimum(q, [ADMISSIBLE_Q[count - 1] if count else 0 for count in lowered])


def average_scale(
    values: int, input_tensor: QTensor, output_scale: float, suits: Callable[[float], bool] = lambda _: True
) -> tuple[float, int] | None:
    """The first output scale from `output_scale` upwards at which the average has one even weight ``2 v`` and one q.

    The average of n values is ``sum * s_x / n``, and on the grid it is ``2 v sum / (2 q) * s_y``: the two are equal
    where ``s_y = s_x q / (n v)``, to the rounding of float32.

    Args:
        values: n, in a window.
        suits: whether a scale is taken; asked for one after the other.

    Returns:
        The scale and q; None where there are too many values for such a scale.
    """
    wanted = values * output_scale / input_tensor.scale * (1 - 1e-9)
    farthest = max(127 - input_tensor.zero_point, 128 + input_tensor.zero_point)
    heaviest = min(LARGEST_WEIGHT // 2, (EXACT_FLOAT32 - 1) // (2 * values * farthest))
    ratios: dict[Fraction, int] = {}
    for v in range(1, heaviest + 1):
        first = bisect_left(ADMISSIBLE_Q, wanted * v)
        for q in ADMISSIBLE_Q[first : first + _AVERAGE_CANDIDATES]:
            ratios[Fraction(q, v)] = max(q, ratios.get(Fraction(q, v), 0))
    for ratio in sorted(ratios):
        scale = float(np.float32(input_tensor.scale * float(ratio) / values))
        if suits(scale):
            return scale, ratios[ratio]
    return None


@dataclass(frozen=True)
class GridChannels:
    """A layer's channels on the grid: what `to_grid` gives.

    Attributes:
        q: int64 ``[channels]``, admissible.
        weight_scales: float32 ``[channels]``.
        weights: int8 ``[channels, ...]``, even.
        bias: int32 ``[channels]``, even.
    """

    q: Int64Array
    weight_scales: Float32Array
    weights: Int8Array
    bias: Int32Array


def to_grid(
    weights: npt.NDArray[np.float64],
    bias: npt.NDArray[np.float64],
    input_scale: float,
    output_scale: float,
    q: Int64Array | None = None,
    farthest: int = 0,
) -> GridChannels:
    """Real weights ``[channels, ...]`` and biases ``[channels]`` on the tie-free grid.

    Args:
        q: one admissible q per channel; without it the largest that holds the channel's weights.
        farthest: how far an input can be from its zero point, in steps; given, that largest q also keeps every
            accumulator below 2^24, with room for weights that are trained further. Only large layers need it.

    Raises:
        BadInputError: a channel does not fit (the output scale is too narrow, or
            the given q too large), or a bias does not fit in int32.
    """
    flat = weights.reshape(len(weights), -1)
    magnitude = np.abs(flat).max(axis=1)
    if q is None:
        q = np.array([largest_q(float(value), input_scale, output_scale) for value in magnitude], np.int64)
        if farthest:
            largest = np.abs(flat).sum(axis=1) * farthest * input_scale + np.abs(bias)
            q = _with_exact_sums(q, largest, output_scale)
    if (q < 1).any():
        raise BadInputError(
            f"channel {int(q.argmin())} does not fit the tie-free grid even at q = 1: its largest weight "
            f"{float(magnitude[q.argmin()]):.6g} needs an output scale of at least "
            f"{smallest_output_scale(float(magnitude[q.argmin()]), input_scale):.6g}, not {output_scale:.6g}"
        )
    scales = np.array([grid_scale(input_scale, output_scale, int(value)) for value in q], np.float32)
    steps = 2 * scales.astype(np.float64)
    even = 2 * np.rint(flat / steps[:, None])
    if np.abs(even).max(initial=0) > LARGEST_WEIGHT:
        channel = int(np.abs(even).max(axis=1).argmax())
        raise BadInputError(f"channel {channel}: a weight would be clipped at q = {int(q[channel])}")
    even_bias = 2 * np.rint(bias / (input_scale * steps))
    if np.abs(even_bias).max(initial=0) >= 2**31:
        raise BadInputError(f"channel {int(np.abs(even_bias).argmax())}: its bias does not fit in int32")
    return GridChannels(q, scales, even.astype(np.int8).reshape(weights.shape), even_bias.astype(np.int32))


def channel_q(layer: Weighted) -> Int64Array:
    """The admissible q for which each channel's multiplier stands for ``1 / (2 q)``; 0 where there is none.

    A channel is on the grid when its weight scale is exactly `grid_scale` of that q.
    """
    nearest = np.rint(0.5 / real_multipliers(layer))
    q = np.where(np.isin(nearest, ADMISSIBLE_Q), nearest, 0).astype(np.int64)
    for channel in np.flatnonzero(q):
        try:
            exact = grid_scale(layer.input.scale, layer.output.scale, int(q[channel]))
        except BadInputError:  # the scales are too extreme for any grid
            exact = np.float32(0)
        if exact != layer.weight_scales[channel]:
            q[channel] = 0
    return q


def _too_far_from_grid(layer: Weighted, q: Int64Array) -> npt.NDArray[np.bool_]:
    """The channels with a multiplier, in any form that runtimes keep, whose error could reach the margin 1/(2q).

    `grid_scale` rules that out for multipliers that come from a double product; a
    product in float32 (see `multipliers`) adds its own error, and so do subnormals.
    """
    exact = 0.5 / q
    too_far = np.zeros(len(q), np.bool_)
    for rule in RULES:
        by = multipliers(layer, rule)
        first_rounding = np.where(by.shift < 0, 2.0 ** (by.shift - 1), 0)
        error = np.abs(by.mantissa * 2.0 ** (by.shift - 31) / exact - 1)
        too_far |= _LARGEST_RESULT * error + first_rounding >= exact
        in_float32 = np.abs(by.float32 / exact - 1) + 2.0**-24  # the product with the accumulator is rounded too
        too_far |= _LARGEST_RESULT * in_float32 >= exact
    return too_far


def ideal(accumulator: Int64Array, q: Int64Array | int, layer: Weighted) -> Int64Array:
    """What every correct rounding gives on the grid: ``clamp(floor((A + q) / (2 q)) + zero_point)``."""
    exact = (accumulator + q) // (2 * q) + layer.output.zero_point
    clamped: Int64Array = np.clip(exact, layer.clamp_min, layer.clamp_max)
    return clamped


def tie_free_problem(model: QuantizedModel) -> str | None:
    """Why the model is not on the tie-free grid, naming the layer; None when it is."""
    for layer, (low, high) in zip(model.layers, input_ranges(model), strict=True):
        if isinstance(layer, (AveragePool2d, Softmax)):
            return f"layer {layer.name}: runtimes round {type(layer).__name__} differently"
        problem = clamp_tie(layer)
        if isinstance(layer, WEIGHTED):
            problem = problem or off_grid_problem(layer, low, high)
        elif isinstance(layer, Lookup):
            problem = table_problem(layer)
        elif isinstance(layer, ENUMERATED):
            problem = problem or tie_problem(layer, low, high)
        if problem:
            return f"layer {layer.name}: {problem}"
    return None


def without_last_softmax(model: QuantizedModel) -> QuantizedModel:
    """The model without a SOFTMAX that is its last layer and all it gives; otherwise the model itself."""
    last = len(model.layers) - 1
    if not isinstance(model.layers[last], Softmax) or model.results != (last,) or last == 0:
        return model
    (source,) = model.reads[last]
    if source < 0:
        return model
    return QuantizedModel(model.layers[:last], model.metadata, model.reads[:last], (source,))


def off_grid_problem(layer: Weighted, low: int, high: int) -> str | None:
    """Why a layer whose inputs are in ``low..high`` is not on the tie-free grid; None when it is."""
    if (layer.weights % 2).any() or (layer.bias % 2).any():
        return "it has odd weights or biases"
    if (layer.weights == -128).any():
        return "it has a weight of -128"
    q = channel_q(layer)
    if (q == 0).any():
        return f"channel {int((q == 0).argmax())}: its multiplier is not that of 1/(2q) for an admissible q"
    if (far := _too_far_from_grid(layer, q)).any():
        return f"channel {int(far.argmax())}: a runtime's own multiplier is too far from 1/(2q), q = {q[far.argmax()]}"
    minimum, maximum = accumulator_bounds(layer, low, high)
    # Partial sums count too, with the bias in them or not yet: PyTorch adds them up in float32.
    bounds = np.concatenate([minimum, maximum, minimum - layer.bias, maximum - layer.bias])
    if np.abs(bounds).max() >= EXACT_FLOAT32:
        return f"an accumulator can reach {np.abs(bounds).max()}; float32 is exact below {EXACT_FLOAT32}"
    return None


def is_tie_free(model: QuantizedModel) -> bool:
    """Whether every layer is on the tie-free grid, so that every runtime gives the same integers."""
    return tie_free_problem(model) is None
