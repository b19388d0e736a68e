"""ONNX Runtime's optimiser turned int8 activations into uint8, whose kernels saturate where a CPU has no VNNI.

MLAS then adds pairs of uint8 x int8 products in int16. The logits were right on the machine that exported, and wrong
on an older one. The exported graph keeps the optimiser from it, so that no processor can show the difference.
"""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import sample_models
from onnx import numpy_helper

from lenet_edge.formats.onnx import to_bytes


@pytest.mark.parametrize("form", ["qdq", "qoperator"])
@pytest.mark.parametrize("sample", ["lenet5", "lenet5_sigmoid", "every_layer"])
def test_the_default_optimiser_leaves_activations_int8(sample, form, tmp_path):
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    content = to_bytes(getattr(sample_models, sample)(21), form)
    ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    optimized = onnx.load(tmp_path / "optimized.onnx")
    types = {numpy_helper.to_array(tensor).dtype for tensor in optimized.graph.initializer}
    assert np.dtype(np.int8) in types
    assert np.dtype(np.uint8) not in types
