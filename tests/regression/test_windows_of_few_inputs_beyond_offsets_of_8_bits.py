"""A convolution of few inputs, in wide poolings, read other pixels on an M55 and gave other integers without a word.

Inputs of a window are gathered by offsets of 8 bits. The copy of what a position sees is as wide as its pooling window:
where the last offset was beyond 255 even for one position, it was taken modulo 256.
"""

from __future__ import annotations

import numpy as np
import pytest
from random_chains import Chain

from lenet_edge.formats.c_source.choice import candidates
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import QuantizedModel


def _kernels(size, window, pool, *, tie_free):
    chain = Chain(1, size, tie_free=tie_free).conv(4, window, (1, 1), "valid").pool(pool)
    (step,) = fuse(QuantizedModel(tuple(chain.layers)))
    assert step.pool is not None
    found = candidates("cortex_m_mve", step, "it", divisible=tie_free)
    assert not isinstance(found, str)
    return found


@pytest.mark.parametrize("tie_free", [True, False])
@pytest.mark.parametrize(
    ("size", "window", "pool"),
    [
        ((16, 18, 1), (16, 1), (1, 18)),  # 15 rows of 18 bytes
        ((5, 150, 1), (5, 3), (1, 148)),
        ((130, 130, 1), (3, 3), (128, 128)),  # all of the map
        ((34, 300, 1), (3, 3), (2, 126)),  # the copy, not the input
        ((3, 70, 4), (2, 1), (1, 65)),
    ],
)
def test_are_computed_by_another_kernel(size, window, pool, tie_free):
    names = [kernel.name for kernel in _kernels(size, window, pool, tie_free=tie_free)]
    assert names == ["mve pairs of positions", "mve matrix, by patches"]


def test_offsets_reach_255():
    kernel = _kernels((16, 17, 1), (16, 1), (1, 17), tie_free=True)[0]
    assert kernel.name == "mve few inputs"
    (table,) = kernel.tables
    offsets = np.asarray(table.values[:4]).astype("<u4").view(np.uint8)
    assert offsets.tolist() == [17 * row for row in range(16)]


@pytest.mark.parametrize(
    ("c_type", "value"),
    [("uint8_t", 256), ("uint8_t", -1), ("int8_t", 128), ("int16_t", -32769), ("int32_t", 2**31), ("uint32_t", 2**32)],
)
def test_no_table_takes_a_value_modulo_its_type(c_type, value):
    """The kind: whoever made a table did not see a limit, and the C would have had another number."""
    with pytest.raises(OverflowError, match=f"it has {value}, which is no {c_type}"):
        Table("it", c_type, np.array([0, value]), "")
    words = np.array([-(2**31), 2**32 - 1])
    assert Table("it", "uint32_t", words, "").values is words, "words may be of either sign"
