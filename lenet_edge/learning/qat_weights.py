"""The weights that `quantize` leaves for the PyTorch engine: a checkpoint with frozen scales, read with numpy alone.

Besides the weights of a float checkpoint there are, for each layer NAME with weights and each average, the tensors
``grid.NAME.weight_scales`` and, on the tie-free grid, ``grid.NAME.q``; the metadata has the grid and, in
``outputs``, the scale and zero point of the output of each of these layers and of each sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.learning import checkpoint
from lenet_edge.networks import shapes
from lenet_edge.networks.description import Addition, AveragePooling
from lenet_edge.networks.weight_bits import LEVELS
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q

__all__ = ["QatWeights", "load", "to_bytes"]

_SCALES = 1e-12, 1e6  # what the scale of an int8 tensor can mean


@dataclass(frozen=True, eq=False)
class QatWeights:
    """What the file holds, checked.

    Attributes:
        tensors: float32 weights by their PyTorch names.
        metadata: as a `Checkpoint` has it.
        grid: "tie-free" or "ordinary".
        outputs: layer -> scale and zero point of its output.
        weight_scales: layer -> float32 ``[channels]``.
        q: layer -> int64 ``[channels]``; empty on the ordinary grid.
        bits: layer -> bits of its weights; empty where all have 8.
    """

    tensors: Mapping[str, checkpoint.Array]
    metadata: Mapping[str, Any]
    grid: str
    outputs: Mapping[str, tuple[float, int]]
    weight_scales: Mapping[str, npt.NDArray[np.float32]]
    q: Mapping[str, npt.NDArray[np.int64]]
    bits: Mapping[str, int]


def load(path: Path) -> QatWeights:
    """Read the file.

    Raises:
        BadInputError: as `checkpoint.load`; also scales that are missing, do not fit the weights or mean nothing.
    """
    found = checkpoint.load(path, kind="qat")
    grid = found.metadata.get("grid")
    if grid not in ("tie-free", "ordinary"):
        raise BadInputError(f"{path}: its metadata has the grid {str(grid)[:40]!r}, not tie-free or ordinary; {_AGAIN}")
    left = dict(found.tensors)
    tensors = {name: left.pop(name) for name in checkpoint.weight_shapes(found.metadata)}
    weighted = {name.split(".")[1]: len(tensor) for name, tensor in tensors.items()}
    channels = {**weighted, **_averages(found.metadata)}
    try:
        outputs = _outputs(found.metadata.get("outputs"), [*channels, *_sums(found.metadata)])
        scales = {name: _scales(left.pop(f"grid.{name}.weight_scales", None), channels[name]) for name in channels}
        q = {name: _q(left.pop(f"grid.{name}.q", None), channels[name]) for name in channels if grid == "tie-free"}
        bits = _bits(found.metadata.get("weight_bits", {}), grid, weighted)
        if left:
            raise ValueError(f"it has the tensor {min(left)} besides")
    except ValueError as error:
        raise BadInputError(f"{path}: its scales are damaged: {error}; {_AGAIN}") from None
    return QatWeights(tensors, found.metadata, grid, outputs, scales, q, bits)


def to_bytes(weights: QatWeights) -> bytes:
    """The file: a checkpoint of kind "qat", which `load` reads."""
    tensors = dict(weights.tensors)
    tensors |= {f"grid.{name}.weight_scales": scales for name, scales in weights.weight_scales.items()}
    tensors |= {f"grid.{name}.q": q for name, q in weights.q.items()}
    outputs = {name: list(output) for name, output in weights.outputs.items()}
    return checkpoint.to_bytes(tensors, {**weights.metadata, "kind": "qat", "grid": weights.grid, "outputs": outputs})


_AGAIN = "quantize again"


def _averages(metadata: Mapping[str, Any]) -> dict[str, int]:
    """The channels of each average, which has scales but no weights of its own."""
    network, image_shape, classes = checkpoint.description(metadata)
    outputs = shapes.output_shapes(network, image_shape, classes)
    return {layer.name: outputs[layer.name][2] for layer in network.features if isinstance(layer, AveragePooling)}


def _sums(metadata: Mapping[str, Any]) -> list[str]:
    network, *_ = checkpoint.description(metadata)
    return [layer.name for layer in (*network.features, *network.classifier) if isinstance(layer, Addition)]


def _outputs(value: Any, layers: Sequence[str]) -> dict[str, tuple[float, int]]:
    if not isinstance(value, dict) or value.keys() != set(layers):
        raise ValueError(f"its outputs are not one for each of {', '.join(layers)}")
    for name, output in value.items():
        if not isinstance(output, list) or [type(part) for part in output] != [float, int]:
            raise ValueError(f"the output of {name} is not a scale and a zero point")
        scale, zero_point = output
        if not (_SCALES[0] <= scale <= _SCALES[1] and scale == float(np.float32(scale)) and -128 <= zero_point <= 127):
            raise ValueError(f"the output of {name} has the scale {scale} and zero point {zero_point}")
    return {name: (scale, zero_point) for name, (scale, zero_point) in value.items()}


def _bits(value: Any, grid: str, layers: Mapping[str, int]) -> dict[str, int]:
    if not isinstance(value, dict) or not value.keys() <= layers.keys():
        raise ValueError(f"its bits of weights are not those of {', '.join(layers)}")
    if not all(type(bits) is int and bits in LEVELS for bits in value.values()):
        raise ValueError("a layer's bits of weights are not 8, 4 or 2")
    if grid == "ordinary" and value:
        raise ValueError("few bits are on the tie-free grid only")
    return dict(value)


def _scales(tensor: checkpoint.Array | None, channels: int) -> npt.NDArray[np.float32]:
    if tensor is None or tensor.dtype != np.float32 or tensor.shape != (channels,):
        raise ValueError(f"the weight scales of a layer are not float32 [{channels}]")
    if not ((tensor >= _SCALES[0]) & (tensor <= _SCALES[1])).all():
        raise ValueError(f"a weight scale is not within {_SCALES[0]:g} to {_SCALES[1]:g}")
    return tensor


def _q(tensor: checkpoint.Array | None, channels: int) -> npt.NDArray[np.int64]:
    if tensor is None or tensor.dtype != np.int64 or tensor.shape != (channels,):
        raise ValueError(f"the q of a layer are not int64 [{channels}]")
    if not np.isin(tensor, ADMISSIBLE_Q).all():
        raise ValueError("a q is not one of the grid")
    return tensor
