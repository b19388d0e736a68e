"""How large TFLM's integers can be on the way to a sum or a product: the proof of rounding-rules.md, held to its word.

Every step is computed in Python's integers, for the operands at the ends of int8 and at the zero points, in layers
whose scales are as far apart as `verify` takes them.
"""

import math

import exact_operators as exact
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from lenet_edge.errors import BadInputError
from lenet_edge.quantized import elementwise
from lenet_edge.quantized.model import Add, Multiply, QTensor, QuantizedModel, Subtract
from lenet_edge.quantized.verify import verify

SUMS = [Add, Subtract]
SCALES = st.floats(-39, 19).map(lambda power: float(np.float32(2.0**power)))  # verify takes 1e-12 to 1e6
ZERO_POINTS = st.sampled_from([-128, -1, 0, 127]) | st.integers(-128, 127)
SCALINGS = st.tuples(SCALES, ZERO_POINTS)
# The output's scale, in terms of the smallest that is accepted.
ROOM = st.just(1.0) | st.floats(1, 2**24)
EQUAL = ((0.5, -128), (0.5, -128), 127, 1.0)


def layer_of(kind, first, second, zero_point, room):
    """The layer whose output has the smallest scale that is accepted, times `room`."""
    far = [max(127 - zero, zero + 128) * scale for scale, zero in (first, second)]
    largest = math.prod(far) if kind is Multiply else sum(far)
    scale = float(np.float32(largest / (2**15 - 1 - abs(zero_point)) * (1 + 2.0**-20) * room))
    inputs = QTensor((1,), *first), QTensor((1,), *second)
    return kind("layer", inputs, QTensor((1,), scale, zero_point))


def verified(layer):
    return verify(QuantizedModel((layer,), {}, ((-1, -2),)))


def cases(layer):
    """(a, b, scalings of a layer that `verify` accepts), for a and b at their extremes."""
    try:
        verified(layer)
    except BadInputError as error:
        assert "not in 1e-12 to 1e6" in str(error)  # noqa: PT017 - else it is not the smallest scale
        assume(False)
    first, second, output = ((tensor.scale, tensor.zero_point) for tensor in (*layer.inputs, layer.output))
    ends = [sorted({-128, 127, tensor.zero_point}) for tensor in layer.inputs]
    for a in ends[0]:
        for b in ends[1]:
            yield a, b, (first, second, output)


def reference(layer, a, b):
    """The result less its zero point, before the clamp, as the reference computes it."""
    operands = (np.array([value - tensor.zero_point]) for value, tensor in zip((a, b), layer.inputs, strict=True))
    return int(elementwise.rules_of(layer)["tflm"](layer, *operands)[0])


def value(multiplier):
    return multiplier.mantissa * 2.0 ** (multiplier.shift - 31)


@pytest.mark.parametrize("kind", SUMS)
@given(first=SCALINGS, second=SCALINGS, zero_point=ZERO_POINTS, room=ROOM)
@example(*EQUAL)
@settings(max_examples=150)
def test_sums_and_differences(kind, first, second, zero_point, room):
    layer = layer_of(kind, first, second, zero_point, room)
    for a, b, scalings in cases(layer):
        x, y, total, result = exact.steps_of_sum(a, b, *scalings, minus=kind is Subtract)
        assert abs(x) <= abs(a - first[1]) << 19
        assert abs(y) <= abs(b - second[1]) << 19
        assert abs(total) <= 255 << 20
        assert abs(result + zero_point) < 2**15
        assert reference(layer, a, b) == result
    by = elementwise.sum_parameters(layer)
    assert max(value(by.first), value(by.second)) <= 1 / 2
    assert value(by.output) <= 2.0**-11


@given(first=SCALINGS, second=SCALINGS, zero_point=ZERO_POINTS, room=ROOM)
@example(*EQUAL)
@settings(max_examples=150)
def test_products(first, second, zero_point, room):
    layer = layer_of(Multiply, first, second, zero_point, room)
    by = elementwise.product_multiplier(layer)
    for a, b, scalings in cases(layer):
        product, result = exact.steps_of_product(a, b, *scalings)
        assert abs(product) << max(by.shift, 0) < 2**17
        assert abs(result + zero_point) < 2**15
        assert reference(layer, a, b) == result


def test_the_bounds_are_reached():
    add = layer_of(Add, *EQUAL)
    extremes = [exact.steps_of_sum(a, b, *scalings) for a, b, scalings in cases(add)]
    assert max(total for _, _, total, _ in extremes) == 255 << 20
    assert max(result for *_, result in extremes) + 127 == 2**15 - 1
    narrow = layer_of(Multiply, (0.5, 0), (0.5, 0), 0, 1.0)  # the largest multiplier: 2^15 / 2^14
    assert elementwise.product_multiplier(narrow).shift == 1


@pytest.mark.parametrize("kind", [*SUMS, Multiply])
@given(first=SCALINGS, second=SCALINGS, zero_point=ZERO_POINTS)
@settings(max_examples=60)
def test_the_next_smaller_output_scale_is_refused(kind, first, second, zero_point):
    layer = layer_of(kind, first, second, zero_point, 1 - 2.0**-18)
    with pytest.raises(BadInputError, match=r"output steps from zero|not in 1e-12 to 1e6"):
        verified(layer)
