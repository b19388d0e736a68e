"""Kernels of the operators without weights where a runtime computes them in float32: its roundings, in integers.

A float32 is a whole number times a power of two. With one power for all of an operator they are whole numbers, and what
float32 arithmetic rounds is which 24 bits stay (firmware/kernels/shared/le_float32.h).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source.families import tensors
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.formats.c_source.tables import float32_factor
from lenet_edge.quantized.elementwise import float32_product_scale, fused_sum
from lenet_edge.quantized.mean import ONNXRUNTIME, ONNXRUNTIME_GLOBAL, global_multiplier
from lenet_edge.quantized.model import Add, AveragePool2d, Layer, Mean, Multiply, Softmax, Subtract

__all__ = ["factor_of", "is_whole", "kernel"]

_HEADER, _ARITHMETIC = "le_elementwise_float32.h", "le_float32.h"
_PAIRS = (_ARITHMETIC, "le_pairs.c", "le_pairs.h")
_MOST = 1 << 61  # of what is added, twice that fits
_LARGEST_SHIFT = 62
_LARGEST_PRODUCT_SHIFT = 50  # beyond, a product is below 2^-10 and only the zero point is left


def kernel(step: Step, name: str) -> Kernel:
    """The kernel of a step without weights whose rule is not TFLM's, with C identifiers that begin with `name`.

    Raises:
        BadInputError: there is none for its rule.
    """
    made = _KERNELS.get((type(step.layer), step.rule))
    if made is None:
        grid = "" if isinstance(step.layer, Softmax) else ", or move it onto the tie-free grid with lenet-edge retie"
        raise BadInputError(
            f"layer {step.layer.name}: the C has no kernel that rounds this {type(step.layer).__name__} as the runtime "
            f"does ({step.rule}). Choose --like tflm{grid}"
        )
    return made(step, name)


def factor_of(scale: float) -> tuple[int, int]:
    """A float32 above zero as (24 bits, exponent): it is ``bits * 2^-exponent``."""
    fraction, exponent = np.frexp(np.float64(scale))
    return int(fraction * 2**24), 24 - int(exponent)


def _sum(step: Step, name: str) -> Kernel:
    layer = step.layer
    assert isinstance(layer, Add)
    by = fused_sum(layer)
    numbers = [Fraction(float(value)) for value in (by.outer, by.inner, by.addend)]
    shift = max(number.denominator for number in numbers).bit_length() - 1
    outer, inner, addend = (int(number * 2**shift) for number in numbers)
    if shift > _LARGEST_SHIFT or 128 * (abs(outer) + abs(inner)) + abs(addend) > _MOST:
        raise _too_far(layer)
    order = (1, 0) if by.swapped else (0, 1)
    values = tensors.initialiser(tensors.pairs_of(step, order), outer, inner, addend, shift, *step.clamp)

    def calls(sources: tuple[str, ...], target: str, _scratch: str) -> tuple[str, ...]:
        return (f"le_add_float32_s8(&{name}, {', '.join(sources[at] for at in order)}, {target});",)

    return tensors.structured("le_add_float32", {name: values}, calls, ("le_add_float32.c", *_PAIRS), _HEADER)


def _product(step: Step, name: str) -> Kernel:
    layer = step.layer
    assert isinstance(layer, Multiply)
    mantissa, shift = float32_factor(float(float32_product_scale(layer)))
    if shift > _LARGEST_PRODUCT_SHIFT:
        mantissa, shift = 0, 0
    zero_points = [tensor.zero_point for tensor in layer.inputs]
    scaling = (mantissa, shift, layer.output.zero_point, *step.clamp)
    values = tensors.initialiser(tensors.pairs_of(step, (0, 1)), *zero_points, *scaling)

    def calls(sources: tuple[str, ...], target: str, _scratch: str) -> tuple[str, ...]:
        return (f"le_multiply_float32_s8(&{name}, {', '.join(sources)}, {target});",)

    files = ("le_multiply_float32.c", *_PAIRS)
    return tensors.structured("le_multiply_float32", {name: values}, calls, files, _HEADER)


def _real_sum(step: Step, name: str) -> Kernel:
    """A sum or difference of what DequantizeLinear gives."""
    layer = step.layer
    assert isinstance(layer, (Add, Subtract))
    numbers = [Fraction(tensor.scale) for tensor in layer.inputs]
    bits = max(number.denominator for number in numbers).bit_length() - 1
    first, second = (int(number * 2**bits) for number in numbers)
    if 255 * (first + second) > _MOST:
        raise _too_far(layer)
    divisor, exponent = factor_of(layer.output.scale)
    zero_points = [tensor.zero_point for tensor in layer.inputs]
    factors = (first, -second if isinstance(layer, Subtract) else second, divisor, bits - exponent)
    scaling = (layer.output.zero_point, *step.clamp)
    values = tensors.initialiser(tensors.pairs_of(step, (0, 1)), *zero_points, *factors, *scaling)

    def calls(sources: tuple[str, ...], target: str, _scratch: str) -> tuple[str, ...]:
        return (f"le_add_real_s8(&{name}, {', '.join(sources)}, {target});",)

    return tensors.structured("le_add_real", {name: values}, calls, ("le_add_real.c", *_PAIRS), _HEADER)


def _too_far(layer: Add | Subtract) -> BadInputError:
    one, other = (tensor.scale for tensor in layer.inputs)
    return BadInputError(
        f"layer {layer.name}: its scales, {one:g} and {other:g} to {layer.output.scale:g}, are too far apart for "
        "64-bit integers; choose --like tflm"
    )


def _mean(step: Step, name: str) -> Kernel:
    """ONNX Runtime's ReduceMean over the whole of a map, channel by channel."""
    layer = step.layer
    assert isinstance(layer, Mean)
    shape = layer.input.shape
    count, channels = math.prod(shape[:-1]), shape[-1]
    if len(shape) != 3 or layer.axes != (0, 1):
        raise BadInputError(
            f"layer {layer.name}: the C has no kernel that adds up along axes {list(layer.axes)} of {list(shape)} in "
            "the order of ONNX Runtime, which decides what its floats round to; choose --like tflm, or lenet-edge retie"
        )
    if channels * count % 4:
        raise BadInputError(
            f"layer {layer.name}: ONNX Runtime's sums of {count} values in {channels} channels depend on the place "
            "of an image in its batch, so no C can be like them; choose --like tflm, or lenet-edge retie"
        )
    (scale, up), (divisor, down) = factor_of(layer.input.scale), factor_of(layer.output.scale)
    scaling = (layer.input.zero_point, layer.output.zero_point, *step.clamp)
    values = tensors.initialiser(count, channels, scale, divisor, up - down, *scaling)

    def calls(sources: tuple[str, ...], target: str, _scratch: str) -> tuple[str, ...]:
        return (f"le_mean_float32_s8(&{name}, {sources[0]}, {target});",)

    files = ("le_mean_float32.c", _ARITHMETIC)
    return tensors.structured("le_mean_float32", {name: values}, calls, files, "le_mean_float32.h")


def is_whole(layer: AveragePool2d) -> bool:
    """Whether its one window is the whole input: ONNX Runtime then takes the mean of integers."""
    return layer.window == layer.input.shape[:2] and layer.output.shape[:2] == (1, 1)


def _whole_average(step: Step, name: str) -> Kernel:
    layer = step.layer
    assert isinstance(layer, AveragePool2d)
    mean = Mean(layer.name, layer.input, layer.output, (0, 1))
    return _global_mean(replace(step, layer=mean), name)


def _global_mean(step: Step, name: str) -> Kernel:
    layer = step.layer
    assert isinstance(layer, Mean)
    factor = tensors.initialiser(*float32_factor(float(global_multiplier(layer))))
    scaling = tensors.initialiser(factor, layer.output.zero_point, *step.clamp)
    return tensors.mean_kernel(step, name, scaling, ("le_mean.c", "le_fours.h", "le_scaled_float32.c", _ARITHMETIC))


_KERNELS: Mapping[tuple[type[Layer], str], Callable[[Step, str], Kernel]] = MappingProxyType(
    {
        (Add, "onnxruntime"): _sum,
        (Multiply, "onnxruntime"): _product,
        (Add, "float"): _real_sum,
        (Subtract, "float"): _real_sum,
        (AveragePool2d, ONNXRUNTIME): _whole_average,
        (Mean, ONNXRUNTIME): _mean,
        (Mean, ONNXRUNTIME_GLOBAL): _global_mean,
    }
)
