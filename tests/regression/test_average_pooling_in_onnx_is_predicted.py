"""ONNX Runtime's average pooling was predicted as the exact mean with ties to even, and 227 of 10,000 logits were not.

It adds up float32 values in the order of the window, whose errors take a tie to
either side, and takes another way where the window is the whole input.
"""

import numpy as np
import pytest

from lenet_edge.engines import onnxruntime
from lenet_edge.formats import onnx
from lenet_edge.quantized.model import AveragePool2d, MaxPool2d, QTensor, QuantizedModel, expected_output_shape
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.runtimes import RUNTIMES

MODELS, IMAGES = 120, 16


def random_pool(random, kind, *, whole=False):
    """Any window, stride, padding, clamp and scaling; `whole`: the window is the input."""
    size = tuple(int(value) for value in random.integers(1, 17, 3))
    padding = "same" if random.random() < 0.5 else "valid"
    largest = size[:2] if padding == "valid" else (9, 9)
    window = size[:2] if whole else tuple(int(random.integers(1, min(limit, 9) + 1)) for limit in largest)
    stride = tuple(int(value) for value in random.integers(1, 5, 2))
    scale = 10 ** random.uniform(-6, 3) if random.random() < 0.7 else 2.0 ** random.integers(-20, 10)
    zero_point = int(random.choice([-128, 0, 127, random.integers(-128, 128)]))
    clamp = (-128, 127) if random.random() < 0.6 else sorted(int(value) for value in random.integers(-128, 128, 2))
    source = QTensor(size, float(np.float32(scale)), zero_point)
    draft = kind("pool", source, source, window, stride, padding, *clamp)
    target = QTensor(expected_output_shape(draft), source.scale, zero_point)
    return QuantizedModel((kind("pool", source, target, window, stride, padding, *clamp),))


@pytest.mark.parametrize("form", ["qdq", "qoperator"])
@pytest.mark.parametrize(
    ("kind", "whole"), [(AveragePool2d, False), (AveragePool2d, True), (MaxPool2d, False)], ids=["mean", "all", "max"]
)
def test_every_value_is_onnx_runtimes(kind, whole, form, tmp_path):
    random = np.random.default_rng(20)
    wrong = left_the_reference = 0
    for _ in range(MODELS):
        model = random_pool(random, kind, whole=whole)
        images = random.integers(-128, 128, (IMAGES, *model.input.shape)).astype(np.int8)
        path = tmp_path / "pool.onnx"
        path.write_bytes(onnx.to_bytes(model, form))
        actual = onnxruntime.run(path, images, optimize=True)
        wrong += np.count_nonzero(run(model, images, RUNTIMES["onnxruntime"]) != actual)
        left_the_reference += np.count_nonzero(run(model, images) != actual)
    assert wrong == 0
    assert (left_the_reference > 100) == (kind is AveragePool2d)
