"""A large patch got the DSP kernel although its structure has 16 bits for where the outputs lie: they lay elsewhere."""

import dataclasses

import numpy as np
import pytest
from random_chains import Chain

from lenet_edge.formats import c_source
from lenet_edge.quantized.model import QuantizedModel


@pytest.mark.parametrize(("channels", "kernel"), [(340, "dsp matrix, by patches"), (342, "plain")])
def test_the_outputs_lie_where_16_bits_reach(channels, kernel):
    """They lie behind three times the patch."""
    layer = Chain(1, (8, 8, channels), tie_free=True).conv(2, (8, 8), clamp=(-128, 127)).layers[0]
    weights = np.zeros_like(layer.weights)
    weights[:, 0, 0, :3] = 126
    plan = c_source.make_plan(QuantizedModel((dataclasses.replace(layer, weights=weights),)), "cortex_m_dsp")
    (found,) = c_source.facts(plan)["steps"]
    assert found["kernel"] == kernel
    if kernel == "plain":
        assert found["why_plain"] == f"its patch takes {3 * 64 * channels} bytes of scratch, more than 65535"
