"""On a Cortex-M with the DSP extension a depthwise convolution over one column, of one-dimensional data, is computed as
if it lay on its side. What a PAD in front of it had put above and below was then above and below that row, where
windows of one row saw nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from random_chains import Chain

from lenet_edge.formats.c_source.families.dsp_depthwise import lying
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.formats.c_source.steps import windows_of
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import QuantizedModel


@pytest.mark.parametrize(("above", "below", "stride"), [(2, 1, 1), (0, 3, 1), (3, 0, 2), (1, 2, 2)])
@pytest.mark.parametrize("pooled", [False, True])
def test_it_lies_beside_the_map_that_lies(above, below, stride, pooled):
    chain = Chain(above, (12, 1, 5), zero_point=-7).pad((above, 0), (below, 0)).depthwise(1, (4, 1), (stride, 1))
    model = (chain.pool((2, 1)) if pooled else chain).build()
    (step,) = fuse(model)
    turned = lying(step)
    assert windows_of(turned.layer).padding == (0, above)
    layers = (turned.layer, turned.pool) if turned.pool is not None else (turned.layer,)
    images = np.random.default_rng(0).integers(-128, 128, (5, 12, 1, 5)).astype(np.int8)
    found = reference.run(QuantizedModel(layers), images.reshape(5, 1, 12, 5))
    np.testing.assert_array_equal(found, reference.run(model, images))
