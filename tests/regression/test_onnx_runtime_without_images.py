"""ONNX Runtime's engine ended in a traceback when it was given no images: -1 cannot stand for the size of nothing."""

import numpy as np
import pytest
import sample_models

from lenet_edge.engines import onnxruntime
from lenet_edge.formats import onnx

MODEL = sample_models.lenet5(51)


@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize("count", [0, 1])
def test_as_many_logits_as_images(tmp_path, count, optimize):
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx.to_bytes(MODEL, form="qdq"))
    logits = onnxruntime.run(path, np.zeros((count, *MODEL.input.shape), np.int8), optimize=optimize)
    assert (logits.shape, logits.dtype) == ((count, 10), np.int8)
