"""A large patch got the DSP kernel although its structure has 16 bits for where the outputs lie: they lay elsewhere."""

import dataclasses

import numpy as np
import pytest
from random_chains import Chain

from lenet_edge.formats.c_source.choice import candidates
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.quantized.model import QuantizedModel


@pytest.mark.parametrize(("channels", "is_there"), [(340, True), (342, False)])
def test_the_outputs_lie_where_16_bits_reach(channels, is_there):
    """They lie behind three times the patch."""
    layer = Chain(1, (8, 8, channels), tie_free=True).conv(2, (8, 8), clamp=(-128, 127)).layers[0]
    weights = np.zeros_like(layer.weights)
    weights[:, 0, 0, :3] = 126
    (step,) = fuse(QuantizedModel((dataclasses.replace(layer, weights=weights),)))
    found = candidates("cortex_m_dsp", step, "it", divisible=True)
    assert ("dsp matrix, by patches" in [kernel.name for kernel in found]) == is_there
