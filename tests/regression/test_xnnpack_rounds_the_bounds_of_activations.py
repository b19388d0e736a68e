"""XNNPACK rounds the bound of a fused activation half to even, zero point included; the others half away from zero.

A RELU6 whose 6 lies half way between two integers was predicted wrongly, and such a layer passed for tie-free.
"""

import numpy as np
import pytest

from lenet_edge.engines import ENGINES
from lenet_edge.formats import tflite
from lenet_edge.quantized.clamps import activation_clamp, clamp_tie
from lenet_edge.quantized.model import Conv2d, MaxPool2d, QTensor, QuantizedModel
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.runtimes import RUNTIMES
from lenet_edge.quantized.tie_free import tie_free_problem
from lenet_edge.quantized.verify import verify

ENGINES_OF_TFLITE = ("tflm", "litert-builtin", "litert-xnnpack")
HALF_WAY = float(np.float32(6 / 14.5))  # 6 is 14.5 of these steps


def model_of(kind, scale, zero_point):
    output = QTensor((3, 3, 2), scale, zero_point)
    clamp = activation_clamp("RELU6", output)
    if kind is Conv2d:
        weights = np.full((2, 1, 1, 2), 2, np.int8)
        source = QTensor((3, 3, 2), 1.0, 0)
        arrays = weights, np.zeros(2, np.int32), np.ones(2, np.float32)
        return verify(QuantizedModel((Conv2d("layer", source, output, *arrays, (1, 1), "valid", *clamp),)))
    return verify(QuantizedModel((kind("layer", output, output, (1, 1), (1, 1), "valid", *clamp),)))


@pytest.mark.parametrize(("zero_point", "away", "even"), [(-4, 11, 10), (-3, 12, 12)])
@pytest.mark.parametrize("kind", [Conv2d, MaxPool2d])
def test_the_largest_output_of_each_runtime(kind, zero_point, away, even, tmp_path):
    model, images = model_of(kind, HALF_WAY, zero_point), np.full((1, 3, 3, 2), 127, np.int8)
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite.to_bytes(model))
    for engine in ENGINES_OF_TFLITE:
        expected = even if engine == "litert-xnnpack" else away
        assert set(ENGINES[engine].run(path, images).ravel().tolist()) == {expected}
        assert set(run(model, images, RUNTIMES[engine]).ravel().tolist()) == {expected}


def test_such_a_layer_is_not_tie_free():
    assert clamp_tie(model_of(MaxPool2d, HALF_WAY, -4).layers[0])
    assert "half way between two integers" in str(tie_free_problem(model_of(MaxPool2d, HALF_WAY, -4)))
    assert tie_free_problem(model_of(MaxPool2d, 0.5, -4)) is None
