"""Scales whose ratio float32 does not hold overflowed, with a warning of numpy's, before they were refused."""

import warnings

import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.tie_free import grid_scale


@pytest.mark.parametrize(
    ("input_scale", "output_scale"), [(1.0, 1e-38), (2.0**100, 2.0**-100), (1e-30, 1e30), (1.0, 3.4e41)]
)
def test_they_are_refused_in_one_message(input_scale, output_scale):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadInputError, match="no float32 weight scale"):
            grid_scale(input_scale, output_scale, 963)
