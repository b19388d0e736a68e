"""The reference and the C once used the ideal table of a sigmoid or tanh, which TFLM does not: it saturates.

At input scale 8 TFLM gives -128 for the real value 0, at which the sigmoid is
1/2; `analyze` called such a model tie-free. Every runtime fills in its own
table, and the runtimes themselves are asked here.
"""

import numpy as np
import pytest
import table_judges

from lenet_edge.engines import onnxruntime
from lenet_edge.formats import onnx, tflite
from lenet_edge.formats.c_source.tables import layer_tables
from lenet_edge.quantized.lookup import OUTPUT_SCALING, reference_table, with_ideal_tables
from lenet_edge.quantized.model import Lookup, QTensor, QuantizedModel
from lenet_edge.quantized.proof import compare_rules
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.runtimes import RUNTIMES
from lenet_edge.quantized.tie_free import tie_free_problem

COUNT = 2500
EVERY_INPUT = np.arange(-128, 128, dtype=np.int8).reshape(1, 16, 16, 1)


def model_of(function, scale, zero_point):
    source = QTensor((16, 16, 1), float(np.float32(scale)), int(zero_point))
    target = QTensor(source.shape, *OUTPUT_SCALING[function])
    return QuantizedModel((Lookup("act", source, target, function, reference_table(function, source)),))


@pytest.fixture(scope="module")
def scalings():
    return table_judges.scalings(COUNT, seed=11)


@pytest.mark.parametrize("runtime", ["tflm", *table_judges.RESOLVERS])
def test_every_entry_is_the_runtimes(runtime, scalings):
    actual = table_judges.judged(runtime, *scalings)
    models = (
        model_of(table_judges.FUNCTIONS[function], *scaling) for function, *scaling in zip(*scalings, strict=True)
    )
    expected = np.array([run(model, EVERY_INPUT, RUNTIMES[runtime]).ravel() for model in models])
    assert actual.shape == (COUNT, 256)
    wrong = np.unique(np.argwhere(expected != actual)[:, 0])
    assert not len(wrong), [tuple(array[index] for array in scalings) for index in wrong[:5]]


def test_scale_8():
    """Input 0 gives the sigmoid 1/2, output 0; TFLM asks the negative side of its radius first, and the radius is 0."""
    model = model_of("sigmoid", 8, 0)
    (layer,) = tflite.from_bytes(tflite.to_bytes(model)).layers
    assert run(model, EVERY_INPUT).ravel()[127:130].tolist() == [-128, -128, 127]
    assert run(model, EVERY_INPUT, RUNTIMES["litert-reference"]).ravel()[127:130].tolist() == [-128, 0, 127]
    assert [table.values[128] for table in layer_tables(layer, "act", divisible=True)] == [-128]
    assert tie_free_problem(model) == "layer act: runtimes differ in 1 of the 256 entries of its table, by up to 128"
    (comparison,) = compare_rules(model)
    assert comparison.differ["tflm", "litert"] == comparison.differ["tflm", "xnnpack"] == 1
    assert comparison.differ["litert", "xnnpack"] == 0


def test_a_single_entry_next_to_a_tie_at_a_small_scale():
    model = model_of("tanh", 0.0039062502, 0)
    (comparison,) = compare_rules(model)
    assert comparison.differ["tflm", "xnnpack"] == 2
    assert "layer act: runtimes differ in 2 of" in tie_free_problem(model)


@pytest.mark.parametrize("form", ["qdq", "qoperator"])
@pytest.mark.parametrize("optimize", [True, False])
def test_onnx_has_the_table_of_the_reference(form, optimize, tmp_path):
    """Where the function in float would not give it, the file holds the table itself."""
    differ = 0
    for function, scale, zero_point in [
        ("sigmoid", 8, 0),
        ("tanh", 4, -5),
        ("sigmoid", 1e-10, 3),
        ("tanh", 0.0039062502, 0),
    ]:
        model, path = model_of(function, scale, zero_point), tmp_path / "table.onnx"
        path.write_bytes(onnx.to_bytes(model, form))
        actual = onnxruntime.run(path, EVERY_INPUT, optimize=optimize)
        differ += np.count_nonzero(actual != run(model, EVERY_INPUT, RUNTIMES["onnxruntime"]))
        layers, last = onnxruntime.layer_outputs(path, EVERY_INPUT[0], optimize=optimize)
        assert layers["act"].ravel().tolist() == actual[0].tolist() == last.tolist()
    assert differ == 0


def test_a_file_from_before_states_the_fingerprint_of_the_ideal_tables():
    """It is read, and its tables are TFLM's."""
    model = model_of("sigmoid", 8, 0)
    older = with_ideal_tables(model)
    assert older.fingerprint != model.fingerprint
    content = tflite.to_bytes(model)
    assert content.count(model.fingerprint.encode()) == 1
    older_content = content.replace(model.fingerprint.encode(), older.fingerprint.encode())
    assert tflite.from_bytes(older_content) == model
