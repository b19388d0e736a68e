"""The range of each tensor, from what it held while pictures were run.

The whole range of what was seen gives the outliers as much as everything else. The range of least squared error clips
them where that makes the steps of all others finer: Banner et al. 2019, "Post training 4-bit quantization of
convolutional networks for rapid-deployment", section 2, here on a histogram.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError

__all__ = ["Method", "chosen_ranges"]

Tensors: TypeAlias = Mapping[int, npt.NDArray[np.float32]]
Method: TypeAlias = Literal["least error", "whole range"]

_BINS = 2048  # eight for each of the 256 steps
_SHRUNK = np.linspace(1, 0.3, 71)


def chosen_ranges(
    passes: Callable[[], Iterable[Tensors]], method: Method, name: Callable[[int], str]
) -> dict[int, tuple[float, float]]:
    """The range of each tensor.

    Args:
        passes: gives all that the tensors held, in parts, each time that it is called.
        name: of a tensor, for messages.

    Raises:
        BadInputError: a tensor held a value that is infinite or no number.
    """
    ends: dict[int, tuple[float, float]] = {}
    for part in passes():
        for index, values in part.items():
            if not np.isfinite(values).all():
                raise BadInputError(f"tensor {name(index)} holds values that are infinite or no numbers, on a picture")
            low, high = ends.get(index, (0.0, 0.0))
            ends[index] = min(low, float(values.min(initial=0))), max(high, float(values.max(initial=0)))
    if method == "whole range":
        return ends
    counts = {index: np.zeros(_BINS, np.int64) for index in ends}
    for part in passes():
        for index, values in part.items():
            if ends[index][0] < ends[index][1]:
                counts[index] += np.histogram(values, _BINS, ends[index])[0]
    return {index: _least_error(counts[index], *ends[index]) for index in ends}


def _least_error(counts: npt.NDArray[np.int64], low: float, high: float) -> tuple[float, float]:
    """Of the range and those that are smaller by one factor, the one in which rounding and clipping err least."""
    if not counts.any():
        return low, high
    width = (high - low) / _BINS
    centres = low + (np.arange(_BINS) + 0.5) * width
    errors = [_squared_error(counts, centres, low * factor, high * factor) for factor in _SHRUNK.tolist()]
    factor = float(_SHRUNK[int(np.argmin(errors))])
    return low * factor, high * factor


def _squared_error(counts: npt.NDArray[np.int64], centres: npt.NDArray[Any], low: float, high: float) -> float:
    step = (high - low) / 255
    zero = np.rint(low / step)
    rounded = np.clip(np.rint(centres / step), zero, zero + 255) * step
    return float((counts * np.square(rounded - centres)).sum())
