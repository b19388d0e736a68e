"""A .tflite whose RELU or QUANTIZE has an output scale of 0 ended `analyze` with exit code 70, a ZeroDivisionError.

With a scale that is no number a fused activation was called damage: "cannot convert float NaN to integer".
"""

import math

import pytest
from graph_files import one_operator

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite import from_bytes

SHAPE, GOOD = (1, 4), (0.5, 1)
TABLES = {"RELU": None, "RELU6": None, "LEAKY_RELU": "LeakyReluOptions", "QUANTIZE": "QuantizeOptions"}
SUMS = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}


def file(name, first, second):
    """One operator whose input has the scale `first`, its output `second`."""
    output = (SHAPE, second, 1)
    if name in SUMS:
        inputs = [(SHAPE, first, 1), (SHAPE, *GOOD)]
        return one_operator(name, inputs, output, SUMS[name], fusedActivationFunction=3)
    return one_operator(name, [(SHAPE, first, 1)], output, TABLES[name])


@pytest.mark.parametrize("scale", [0.0, -0.5, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("name", [*TABLES, *SUMS])
def test_such_a_scale_is_named(name, scale):
    for tensor, scales in (("t0", (scale, 0.5)), ("t[12]", (0.5, scale))):
        with pytest.raises(BadInputError, match=rf"^tensor {tensor} has the scale {scale}; it must be a positive"):
            from_bytes(file(name, *scales))


@pytest.mark.parametrize("name", [*TABLES, *SUMS])
def test_others_are_read(name):
    from_bytes(file(name, *[GOOD[0]] * 2))
