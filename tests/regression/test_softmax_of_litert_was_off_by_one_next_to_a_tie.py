"""One output in some 100,000 of LiteRT's int8 SOFTMAX was predicted wrongly: it adds up in order and rounds half up."""

from __future__ import annotations

import numpy as np
import pytest

from lenet_edge.engines import litert, tflite_runtime
from lenet_edge.formats import tflite
from lenet_edge.quantized.model import QTensor, QuantizedModel, Softmax
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.runtimes import RUNTIMES

ROWS, IMAGES = 400, 120
ENGINES = {
    "litert-builtin": lambda path, values: litert.run(path, values, kernels="builtin"),
    "tflite-runtime": tflite_runtime.run,
}


@pytest.fixture(scope="module", params=[(0.1, 37), (0.5, 37), (0.02, 5)], ids=str)
def case(request, tmp_path_factory):
    """(model of one SOFTMAX over many rows, its file, values)."""
    scale, classes = request.param
    tensor = QTensor((ROWS, classes), float(np.float32(scale)), -3)
    model = QuantizedModel((Softmax("softmax", tensor, QTensor(tensor.shape, 1 / 256, -128)),))
    path = tmp_path_factory.mktemp("softmax") / "model.tflite"
    path.write_bytes(tflite.to_bytes(model))
    values = np.random.default_rng(3).integers(-128, 128, (IMAGES, ROWS, classes)).astype(np.int8)
    return model, path, values


@pytest.mark.parametrize("name", ENGINES)
def test_every_output_is_predicted(name, case):
    model, path, values = case
    given = ENGINES[name](path, values)
    assert np.count_nonzero(given != run(model, values, RUNTIMES[name])) == 0
