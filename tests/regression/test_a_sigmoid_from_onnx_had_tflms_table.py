"""Of a QDQ ONNX, ONNX Runtime computes sigmoid and tanh in tables of its own. The prediction, and the C that is to be
like it, had TFLM's, which differ by one where the input's scale is small."""

from __future__ import annotations

import numpy as np
import pytest
import qdq_graphs

from lenet_edge.formats.onnx.reader import import_bytes
from lenet_edge.quantized.like import as_computed_by
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.runtimes import rules_of

onnxruntime = pytest.importorskip("lenet_edge.engines.onnxruntime")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("element", [qdq_graphs.INT8, qdq_graphs.UINT8])
@pytest.mark.parametrize(("operator", "exponent", "zero_point"), [("Sigmoid", -8, -128), ("Tanh", -7, 0)])
def test_all_256_inputs(operator, exponent, zero_point, element, tmp_path):
    images, differ = np.arange(-128, 128, dtype=np.int8)[np.newaxis], 0
    for scale in range(-9, 1):
        graph = qdq_graphs.Graph(2, element)
        x = graph.node(operator, graph.edge(graph.image(256), scale, 37))
        found = import_bytes(graph.finish(graph.edge(x, exponent, zero_point)), "x")
        model = found.model.with_metadata(imported=found)
        (tmp_path / "ends.onnx").write_bytes(found.onnx)
        theirs = onnxruntime.run(tmp_path / "ends.onnx", images, optimize=True)
        assert (run(model, images, rules_of("onnxruntime", model)) == theirs).all()
        assert (run(as_computed_by("onnxruntime", model), images) == theirs).all()
        differ += int((run(model, images) != theirs).sum())
    assert differ > 0  # else it proves nothing
