"""An operand of three axes that another of four makes longer went into the ONNX file with its channels first."""

import numpy as np
import pytest

from lenet_edge.engines import onnxruntime
from lenet_edge.formats import onnx
from lenet_edge.quantized.model import Add, QTensor, QuantizedModel
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.verify import verify


@pytest.mark.parametrize("optimize", [True, False])
def test_a_map_and_a_tensor_of_four_axes(optimize, tmp_path):
    longer, map_, output = QTensor((4, 5, 3, 7), 1.0, 0), QTensor((5, 3, 7), 1.0, 0), QTensor((4, 5, 3, 7), 3.0, 0)
    model = verify(QuantizedModel((Add("sum", (longer, map_), output),), {}, ((-1, -2),)))
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx.to_bytes(model))
    images = np.random.default_rng(0).integers(-128, 128, (2, *model.input.shape)).astype(np.int8)
    np.testing.assert_array_equal(onnxruntime.run(path, images, optimize=optimize), run(model, images))
