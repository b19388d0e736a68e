"""Two means of a model, of which the fast kernel takes one, defined one function twice: its firmware did not link.

And of a mean along values that lie one behind the other the estimates lacked loops: nothing with one could be exported.
"""

from __future__ import annotations

import numpy as np
import pytest

from lenet_edge.formats.c_source import make_plan
from lenet_edge.formats.c_source.families import FAMILIES
from lenet_edge.quantized.model import Constant, Mean, QTensor, QuantizedModel, Subtract
from lenet_edge.quantized.verify import verify


def model() -> QuantizedModel:
    """The mean of the rows of an image, and of a constant, which may lie in flash."""
    source, rows = QTensor((6, 12), 0.0625, -3), QTensor((6,), 0.03125, 5)
    constant = Constant("constant", source, np.zeros((6, 12), np.int8))
    means = Mean("first", source, rows, (1,)), Mean("second", source, rows, (1,))
    minus = Subtract("minus", (rows, rows), rows, -128, 127)
    return verify(QuantizedModel((constant, *means, minus), {}, ((), (-1,), (0,), (1, 2))))


@pytest.mark.parametrize("family", FAMILIES)
def test_each_kind_has_functions_of_its_own(family):
    first, second, _ = (placed.kernel for placed in make_plan(model(), family).steps)
    names = [kernel.calls(("x",), "y", "")[0].partition("(")[0] for kernel in (first, second)]
    is_fast = "shared/le_mean_fours.c" in first.sources
    assert is_fast == (family not in ("plain", "rv32e"))
    assert "shared/le_mean.c" in second.sources
    assert names == ["le_mean_fours_s8" if is_fast else "le_mean_s8", "le_mean_s8"]
