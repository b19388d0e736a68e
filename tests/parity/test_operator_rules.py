"""Which rule does each runtime follow for sums, products, means, tables, and convolutions with gaps or groups?

Each is asked once, with many of them in one model. `RUNTIMES` is the expectation; a layer whose rule is unknown is
left out, and named.
"""

from pathlib import Path

import numpy as np
import operator_rows
import pytest

from lenet_edge.engines import ENGINES
from lenet_edge.formats import c_source, onnx, tflite
from lenet_edge.quantized.model import Add, Mean, Multiply, Rescale, Subtract
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.runtimes import RUNTIMES, unknown_layers
from lenet_edge.records import write_artefact

FIRMWARE = Path(__file__).parents[2] / "firmware"
ENGINES_WITH_RULES = [name for name in RUNTIMES if name != "pytorch"]  # PyTorch runs networks of ours only
# ONNX Runtime adds up what does not lie in a row in an order that is not known.
UNKNOWN = {"onnxruntime": {"Mean"}, "onnxruntime-qoperator": {"Mean"}}


@pytest.fixture(scope="module")
def model():
    return operator_rows.rows()


@pytest.fixture(scope="module")
def images(model):
    return operator_rows.images(model)


@pytest.fixture(scope="module")
def artefacts(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("operators")
    made = {"tflite": folder / "rows.tflite", "onnx": folder / "qdq.onnx", "onnx-qoperator": folder / "qoperator.onnx"}
    made["tflite"].write_bytes(tflite.to_bytes(model))
    made["onnx"].write_bytes(onnx.to_bytes(model, "qdq"))
    made["onnx-qoperator"].write_bytes(onnx.to_bytes(model, "qoperator"))
    made["c"] = folder / "c"
    plan = c_source.make_plan(model)
    write_artefact(made["c"], c_source.export(plan, FIRMWARE), model.fingerprint, **c_source.facts(plan))
    return made


def by_layer(model, outputs):
    """Each layer that the model gives -> its part of outputs ``[n, values]``."""
    sizes = [int(np.prod(tensor.shape)) for tensor in model.outputs]
    parts = np.split(outputs, np.cumsum(sizes)[:-1], axis=1)
    return {model.layers[index].name: part for index, part in zip(model.results, parts, strict=True)}


@pytest.mark.parametrize("engine", ENGINES_WITH_RULES)
def test_runtime_follows_its_rules(engine, model, images, artefacts):
    rules = RUNTIMES[engine]
    unknown = unknown_layers(model, rules)
    assert {name.partition(" ")[0] for name in unknown} == UNKNOWN.get(engine, set())
    expected = by_layer(model, run(model, images, rules))
    found = by_layer(model, ENGINES[engine].run(artefacts[ENGINES[engine].artefact], images))
    differ = {name: int(np.count_nonzero(found[name] != expected[name])) for name in expected if name not in unknown}
    assert {name: count for name, count in differ.items() if count} == {}


def test_every_operator_tells_rules_apart(model, images):
    """Were two runtimes' integers equal on all of them, the test above could not fail."""
    outputs = {
        name: by_layer(model, run(model, images, RUNTIMES[name])) for name in ("tflm", "tf-lite", "litert-builtin")
    }
    for kind in (Add, Subtract, Multiply, Mean, Rescale):
        names = [layer.name for layer in model.layers if isinstance(layer, kind)]
        for other in ("tf-lite", "litert-builtin"):
            count = sum(int(np.count_nonzero(outputs["tflm"][name] != outputs[other][name])) for name in names)
            # LiteRT's own kernels compute sums as TFLM does.
            assert (count > 10) == (other == "tf-lite" or kind not in (Add, Subtract)), (kind, other, count)
