"""Layers without weights, one a case: pooling, sums, concatenation, padding, tables, and what only moves values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lenet_edge.conformance.case import IMAGES, Case, noise, plain_inputs
from lenet_edge.quantized import rescale
from lenet_edge.quantized.clamps import activation_clamp
from lenet_edge.quantized.lookup import OUTPUT_SCALING, Function, reference_table
from lenet_edge.quantized.model import (
    Add,
    Concatenate,
    Constant,
    Flatten,
    Int8Array,
    Layer,
    Lookup,
    MaxPool2d,
    Pad,
    QTensor,
    QuantizedModel,
    Rescale,
    Reshape,
    Slice,
    Subtract,
    Transpose,
    expected_output_shape,
    inputs_of,
)

__all__ = ["UNIVERSAL_SCALES", "unweighted_cases"]

_SCALE = float(np.float32(0.0123))
_PAIRS = 1024  # values of an input: all pairs of int8 in 64 inputs

UNIVERSAL_SCALES: dict[tuple[Function, int], float] = {
    ("sigmoid", 0): 0.04,
    ("sigmoid", -128): 0.04,
    ("tanh", 0): 0.02,
    ("tanh", 17): 0.02,
}


def unweighted_cases() -> list[Case]:
    """The cases, kind by kind."""
    return [*_pools(), *_sums(), *_joined(), *_padded(), *_tables(), *_moved()]


def _single(name: str, purpose: str, layer: Layer, inputs: Int8Array | None = None) -> Case:
    reads = tuple(-1 - index for index in range(len(inputs_of(layer))))
    model = QuantizedModel((replace(layer, name=name),), {}, (reads,))
    return Case(name, purpose, model, plain_inputs(name, model.inputs) if inputs is None else inputs)


# --- pooling --------------------------------------------------------------------------------------


def _pools() -> list[Case]:
    made: dict[str, tuple[str, tuple[int, int, int], dict[str, Any]]] = {
        "max-pool-2x2": ("the usual one", (8, 8, 8), {"window": (2, 2), "stride": (2, 2)}),
        "max-pool-2x2-odd": ("a row and a column left over", (7, 9, 5), {"window": (2, 2), "stride": (2, 2)}),
        "max-pool-2x2-overlapping": ("windows that overlap", (6, 7, 3), {"window": (2, 2), "stride": (1, 1)}),
        "max-pool-3x3-same": (
            "padding never wins, also where all values are below the zero point",
            (7, 8, 19),
            {"window": (3, 3), "stride": (1, 1), "padding": "same"},
        ),
        "max-pool-3x3-same-stride-2": (
            "padding after but not before",
            (8, 8, 4),
            {"window": (3, 3), "stride": (2, 2), "padding": "same"},
        ),
        "max-pool-1x2": ("a window and strides that differ", (6, 8, 6), {"window": (1, 2), "stride": (2, 1)}),
        "max-pool-whole-map": ("a window as large as the map", (6, 5, 17), {"window": (6, 5), "stride": (1, 1)}),
        "max-pool-one-pixel": ("a map of one pixel", (1, 1, 9), {"window": (1, 1), "stride": (1, 1)}),
        "max-pool-stride-3": (
            "values that no window reads",
            (9, 9, 3),
            {"window": (2, 2), "stride": (3, 3)},
        ),
        "max-pool-relu6": (
            "a clamp on both sides",
            (6, 6, 8),
            {"window": (2, 2), "stride": (2, 2), "activation": "RELU6"},
        ),
    }
    return [_single(name, purpose, _pool(shape, **settings)) for name, (purpose, shape, settings) in made.items()]


def _pool(shape: tuple[int, int, int], activation: str = "NONE", **settings: Any) -> MaxPool2d:
    source = QTensor(shape, float(np.float32(0.05)), 20)
    layer = MaxPool2d("", source, source, **settings)
    target = replace(source, shape=expected_output_shape(layer))
    low, high = activation_clamp(activation, target)
    return replace(layer, output=target, clamp_min=low, clamp_max=high)


# --- sums -----------------------------------------------------------------------------------------


def _sums() -> list[Case]:
    """Operands of scales i s and j s and an output of (p / k) s: never a tie, at least 1 / 2p away."""
    every = "all 65,536 pairs, scales {} s and {} s to {}/{} s"
    ratios = {"equal": (1, 1, 1, 1), "1-2": (1, 2, 3, 2), "3-5": (3, 5, 7, 1), "8-1": (8, 1, 127, 16)}
    found = [
        _single(f"add-{name}", every.format(*ratio), _sum(Add, ratio), _all_pairs()) for name, ratio in ratios.items()
    ]
    for name, ratio in {"equal": (1, 1, 1, 1), "2-3": (2, 3, 5, 2), "8-1": (8, 1, 127, 16)}.items():
        found.append(_single(f"subtract-{name}", every.format(*ratio), _sum(Subtract, ratio), _all_pairs()))
    found.append(_single("add-relu", "a clamp at the zero point", _sum(Add, (1, 1, 3, 2), activation="RELU")))
    found.append(_single("add-relu6", "a clamp on both sides", _sum(Add, (1, 1, 3, 2), activation="RELU6")))
    found.append(_single("subtract-relu", "a clamp at the zero point", _sum(Subtract, (1, 1, 3, 2), activation="RELU")))
    found.append(_single("add-maps", "maps of an odd number of values", _sum(Add, (2, 1, 3, 1), shape=(3, 5, 7))))
    return [*found, _with_itself(), _with_a_constant()]


def _sum(
    kind: type[Add] | type[Subtract],
    ratio: tuple[int, int, int, int],
    shape: tuple[int, ...] = (_PAIRS,),
    activation: str = "NONE",
) -> Add | Subtract:
    i, j, p, k = ratio
    scales = (float(np.float32(value)) for value in (_SCALE * i, _SCALE * j, _SCALE * p / k))
    zero_points = (7, -40, -3) if activation == "NONE" else (0, -128, -60)
    first, second, target = (
        QTensor(shape, scale, zero_point) for scale, zero_point in zip(scales, zero_points, strict=True)
    )
    return kind("", (first, second), target, *activation_clamp(activation, target))


def _all_pairs() -> Int8Array:
    values = np.arange(-128, 128, dtype=np.int8)
    pairs = np.stack(np.meshgrid(values, values, indexing="ij")).reshape(2, IMAGES, _PAIRS)
    return np.concatenate(list(pairs), axis=1)


def _with_itself() -> Case:
    source = QTensor((6, 6, 5), _SCALE, -20)
    target = QTensor(source.shape, float(np.float32(_SCALE * 3)), 11)
    model = QuantizedModel((Add("add-itself", (source, source), target),), {}, ((-1, -1),))
    return Case("add-itself", "one tensor as both operands", model, plain_inputs("add-itself", model.inputs))


def _with_a_constant() -> Case:
    name = "add-constant"
    source = QTensor((5, 4, 12), _SCALE, -20)
    constant = QTensor((12,), _SCALE, 9)
    target = QTensor(source.shape, float(np.float32(_SCALE * 3 / 2)), 1)
    values = noise(f"{name} values", constant.shape).astype(np.int8)
    layers = (Constant("values", constant, values), Add(name, (source, constant), target))
    model = QuantizedModel(layers, {}, ((), (-1, 0)))
    return Case(name, "a constant for each channel, repeated over the map", model, plain_inputs(name, model.inputs))


# --- concatenation and padding --------------------------------------------------------------------


def _joined() -> list[Case]:
    return [
        _join("concatenate-channels", "odd channels of three maps", [(4, 5, 3), (4, 5, 7), (4, 5, 1)], 2),
        _join("concatenate-rows", "maps one below the other", [(2, 5, 4), (3, 5, 4)], 0),
        _join("concatenate-columns", "maps side by side", [(4, 2, 3), (4, 5, 3)], 1),
        _join("concatenate-vectors", "vectors of odd lengths", [(5,), (17,), (1,), (32,)], 0),
    ]


def _join(name: str, purpose: str, shapes: Sequence[tuple[int, ...]], axis: int) -> Case:
    tensors = tuple(QTensor(shape, _SCALE, -5) for shape in shapes)
    layer = Concatenate(name, tensors, tensors[0], axis)
    return _single(name, purpose, replace(layer, output=replace(tensors[0], shape=expected_output_shape(layer))))


def _padded() -> list[Case]:
    found = []
    for name, purpose, shape, before, after in (
        ("pad-around", "the zero point, not 0, around a map", (5, 4, 3), (1, 1, 0), (1, 1, 0)),
        ("pad-after", "below and to the right only", (4, 5, 6), (0, 0, 0), (1, 2, 0)),
        ("pad-channels", "more channels", (3, 4, 5), (0, 0, 2), (0, 0, 1)),
    ):
        source = QTensor(shape, _SCALE, 33)
        layer = Pad("", source, source, before, after, source.zero_point)
        found.append(_single(name, purpose, replace(layer, output=replace(source, shape=expected_output_shape(layer)))))
    return found


# --- tables ---------------------------------------------------------------------------------------


def _tables() -> list[Case]:
    found = []
    values = np.broadcast_to(np.arange(-128, 128, dtype=np.int8), (IMAGES, 256)).copy()
    for (function, zero_point), scale in UNIVERSAL_SCALES.items():
        source = QTensor((256,), float(np.float32(scale)), zero_point)
        target = QTensor((256,), *OUTPUT_SCALING[function])
        table = reference_table(function, source)
        name = f"{function}-zero-point-{zero_point}".replace("--", "-minus-")
        purpose = "each of the 256 inputs, at a scale where no entry is near a tie"
        found.append(_single(name, purpose, Lookup("", source, target, function, table), values))
    for operator, ratio in (("RELU", 1.0), ("RELU6", 1.0), ("QUANTIZE", 1.0), ("QUANTIZE", 0.5)):
        source = QTensor((256,), float(np.float32(0.04)), -10)
        target = QTensor((256,), float(np.float32(0.04 * ratio)), -10 if operator != "QUANTIZE" else 40)
        layer = Rescale("", source, target, operator, rescale.table(operator, source, target, 1.0))
        name = operator.lower() + (f"-by-{1 / ratio:.0f}" if operator == "QUANTIZE" else "")
        found.append(_single(name, "each of the 256 inputs", layer, values))
    return found


# --- what moves values ----------------------------------------------------------------------------


def _moved() -> list[Case]:
    source = QTensor((4, 6, 5), _SCALE, 3)
    flat = QTensor((math.prod(source.shape),), _SCALE, 3)
    other = QTensor((8, 3, 5), _SCALE, 3)
    turned = QTensor((5, 4, 6), _SCALE, 3)
    part = QTensor((2, 3, 4), _SCALE, 3)
    return [
        _single("flatten", "rows, columns, channels, in this order", Flatten("", source, flat)),
        _single("reshape", "another map of the same values", Reshape("", source, other)),
        _single("transpose", "axes in another order", Transpose("", source, turned, (2, 0, 1))),
        _single("slice", "a part, with steps", Slice("", source, part, (1, 0, 1), (2, 2, 1))),
    ]
