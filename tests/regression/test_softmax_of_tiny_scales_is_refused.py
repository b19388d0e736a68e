"""A SOFTMAX whose beta times input scale is 2^-26 or below was accepted; TFLM and LiteRT end their process there."""

import numpy as np
import pytest

from lenet_edge.engines import litert, tflm
from lenet_edge.errors import BadInputError
from lenet_edge.formats import tflite
from lenet_edge.quantized.model import QTensor, QuantizedModel, Softmax
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.runtimes import RUNTIMES
from lenet_edge.quantized.verify import verify

ABOVE = float(np.nextafter(np.float32(2.0**-26), np.float32(1)))


def model_of(scale, beta=1.0):
    source = QTensor((10,), scale, 3)
    return QuantizedModel((Softmax("softmax", source, QTensor((10,), 1 / 256, -128), beta),))


def test_it_is_refused_with_its_name():
    for scale, beta in ((2.0**-26, 1.0), (2.0**-25, 0.5), (1e-12, 1.0), (2.0**-39, 4096.0)):
        with pytest.raises(BadInputError, match=r"layer softmax .*TFLM and LiteRT end the process"):
            verify(model_of(float(np.float32(scale)), beta))


@pytest.mark.parametrize("runtime", ["tflm", "litert-reference", "litert-builtin"])
def test_the_smallest_that_is_accepted_runs(runtime, tmp_path):
    path, model = tmp_path / "softmax.tflite", verify(model_of(ABOVE))
    path.write_bytes(tflite.to_bytes(model))
    values = np.random.default_rng(0).integers(-128, 128, (20, 10)).astype(np.int8)
    kernels = runtime.removeprefix("litert-")
    actual = tflm.run(path, values) if runtime == "tflm" else litert.run(path, values, kernels)
    assert actual.tolist() == run(model, values, RUNTIMES[runtime]).tolist()


def test_the_limit_is_the_runtimes(tmp_path):
    """What is refused does end TFLM's process; the file is that of the smallest scale, changed in its place."""
    path, model = tmp_path / "softmax.tflite", model_of(ABOVE)
    content = tflite.to_bytes(model)
    scale = np.float32(ABOVE).tobytes()
    assert content.count(scale) == 1
    path.write_bytes(content.replace(scale, np.float32(2.0**-26).tobytes()))
    with pytest.raises(BadInputError):
        tflm.run(path, np.zeros((1, 10), np.int8))
    with pytest.raises(BadInputError, match="end the process"):
        tflite.read(path)
