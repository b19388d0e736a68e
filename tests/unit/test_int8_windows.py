"""Padding that TFLite has not, as a window with zero rows; averages as one even weight: against enumeration."""

import itertools

import numpy as np
import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.networks.description import AveragePooling, Convolution, FullyConnected, Network
from lenet_edge.networks.int8 import LARGEST_AVERAGE, Int8Window, int8_window, require_int8
from lenet_edge.quantized.model import QTensor, window_padding
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, average_scale, to_grid


def positions(size, window, stride, before, after):
    """The rows of the padded map that each output of a PyTorch convolution sees."""
    starts = range(-before, size + after - window + 1, stride)
    return [list(range(start, start + window)) for start in starts]


def test_a_window_with_zeros_sees_what_pytorch_s_sees():
    """Every small case that has such a window: as many outputs, and the true weights on the same rows."""
    found = 0
    cases = itertools.product(range(1, 24), range(1, 7), range(1, 5), range(4), range(4))
    for size, window, stride, before, after in cases:
        if size + before + after < window:
            continue
        windows = ((window, 1), (stride, 1), (before, after, 0, 0))
        int8 = int8_window(windows, size, 4)
        if int8 is None:
            continue
        front, behind, *columns = int8.zeros
        assert columns == [0, 0]
        count, start, _ = window_padding(size, window + front + behind, stride, int8.padding)
        seen = [[index * stride - start + front + row for row in range(window)] for index in range(count)]
        assert seen == positions(size, window, stride, before, after), (size, window, stride, before, after, int8)
        found += 1
    assert found > 2000


@pytest.mark.parametrize(
    ("windows", "size", "expected"),
    [
        (((5, 5), (1, 1), (2, 2, 2, 2)), 28, Int8Window("same")),
        (((5, 5), (1, 1), (0, 0, 0, 0)), 14, Int8Window("valid")),
        (((3, 3), (2, 2), (1, 1, 1, 1)), 48, Int8Window("same", (0, 1, 0, 1))),
        (((3, 3), (2, 2), (1, 1, 1, 1)), 47, Int8Window("same")),
        (((3, 3), (1, 1), (2, 2, 2, 2)), 48, None),  # a map that grows
        (((5, 5), (1, 1), (1, 1, 1, 1)), 48, None),
    ],
)
def test_windows_that_are_known(windows, size, expected):
    assert int8_window(windows, size, size) == expected


def network(layer):
    return Network("mine", "", (layer,), (FullyConnected("OUTPUT", None),))


def test_what_int8_cannot_express_is_refused_with_its_layer():
    with pytest.raises(BadInputError, match=r"network mine, layer C1: .*\(2, 2\).*3 x 3"):
        require_int8(network(Convolution("C1", 4, (3, 3), padding=(2, 2))), (20, 20, 1), 3)
    with pytest.raises(BadInputError, match=r"layer A1: .*31 x 31.*two steps"):
        require_int8(network(AveragePooling("A1", None)), (31, 31, 3), 3)
    require_int8(network(AveragePooling("A1", None)), (30, 30, 3), 3)


@pytest.mark.parametrize("values", [2, 3, 4, 9, 36, 49, 144, LARGEST_AVERAGE])
@pytest.mark.parametrize("part", [1.0, 0.31])
def test_an_average_is_one_even_weight(values, part):
    """On 5,000 random sums: the average, rounded once, and never on a tie."""
    source = QTensor((1,), float(np.float32(0.0173)), -128)
    scale, q = average_scale(values, source, part * source.scale)
    assert part * source.scale * (1 - 1e-6) <= scale <= part * source.scale * 1.02
    assert q in ADMISSIBLE_Q
    channels = to_grid(np.full((1, values), 1 / values), np.zeros(1), source.scale, scale, np.array([q]))
    (weight,) = np.unique(channels.weights)
    assert weight % 2 == 0
    sums = np.random.default_rng(values).integers(0, 255 * values + 1, 5000)
    exact = sums / values * source.scale / scale
    np.testing.assert_allclose(weight * sums / (2 * q), exact, rtol=3e-7)
    assert (np.abs(exact - np.floor(exact) - 0.5) > 0.49 / (2 * q)).all()


def test_too_many_values_have_no_such_scale():
    source = QTensor((1,), 0.01, -128)
    assert average_scale(1100, source, source.scale) is None
