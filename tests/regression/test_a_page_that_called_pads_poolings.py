"""The page called each step of several layers one with max-pooling, also where it takes in a pad or a clamp."""

from __future__ import annotations

import numpy as np
from random_chains import Chain

from lenet_edge.quantized.model import Rescale
from lenet_edge.report.page import Shown
from lenet_edge.report.page import contents as module


def test_only_a_step_with_a_pooling_is_said_to_have_one(monkeypatch):
    monkeypatch.setattr(module, "compile_to_webassembly", lambda model: b"")
    chain = Chain(0, (9, 9, 1)).pad((1, 1), (1, 1)).conv(2, (3, 3), clamp=(-128, 127))
    table = np.maximum(np.arange(-128, 128), chain.current.zero_point).astype(np.int8)
    chain._add(Rescale("relu", chain.current, chain.current, "RELU", table))
    chain.depthwise(1, (2, 2)).pool((2, 2)).flatten().fully_connected(3)
    model = chain.build(classes=["a", "b", "c"])
    content = module._content(Shown("a model", model, np.zeros((0, 9, 9, 1), np.int8)))
    assert [(len(step["layers"]), step["what"]) for step in content["steps"]] == [
        (3, "convolution"),
        (2, "depthwise convolution and max-pooling"),
        (1, "fully connected"),
    ]
