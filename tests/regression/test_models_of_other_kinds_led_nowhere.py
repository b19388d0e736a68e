"""Messages about a model or a data set of another kind that did not say what to do, or said what had been done.

A float .tflite was refused by `analyze` without a word of `quantize`; one with float16 weights for metadata that the
converter writes, "use the file as the converter wrote it". One of int16 went from `quantize` to `retie` and back. For
a model that cannot be exact, `retie` and `quantize` did not say what else there is. A float model of colour pictures
and no --data got a message about a preparation that nobody had chosen. The list of networks was shown twice.
"""

import pytest
from ai_edge_litert import schema_py_generated as schema
from float_files import float_file
from graph_files import one_operator
from sample_models import lenet5
from tflite_trees import rebuilt

from lenet_edge.errors import BadInputError
from lenet_edge.formats.onnx.reader.advice import unsupported_problem
from lenet_edge.networks import reader
from lenet_edge.preparation.request import PreparationRequest
from lenet_edge.preparation.settings import MNIST


def with_float16_metadata(tree):
    entry = schema.MetadataT()
    entry.name, entry.buffer = b"reduced_precision_support", 0
    tree.tree.metadata = [entry]


def of_int16(_, graph):
    for index in {index for operator in graph.operators for index in operator.outputs}:
        graph.tensors[index].type = schema.TensorType.INT16


@pytest.mark.parametrize("change", [None, with_float16_metadata])
def test_a_float_model_is_for_quantize(change, call, tmp_path):
    (tmp_path / "f.tflite").write_bytes(float_file(lenet5(51), *([change] if change else [])))
    for command in (
        ["analyze", "f.tflite"],
        ["retie", "f.tflite"],
        ["build", "--board", "pico", "--model", "f.tflite"],
    ):
        done = call(*command)
        assert (done.returncode, done.stdout) == (3, "")
        assert "f.tflite: it is a float model" in done.stderr
        assert "`lenet-edge quantize --epochs 0" in done.stderr


def test_int16_is_named_by_every_command(call, tmp_path):
    (tmp_path / "i.tflite").write_bytes(rebuilt(of_int16, lenet5(51)))
    for command in (["analyze", "i.tflite"], ["quantize", "--epochs", "0", "--model", "i.tflite"]):
        done = call(*command)
        assert done.returncode == 3
        assert "it computes in int16 (16x8), which is not supported" in done.stderr
        assert "retie" not in done.stderr


def test_what_cannot_be_exact_can_still_be_built(call, tmp_path):
    at_0_1 = ((1, 4, 4, 2), 0.1, 0)
    (tmp_path / "l.tflite").write_bytes(one_operator("LEAKY_RELU", [at_0_1], at_0_1, "LeakyReluOptions", alpha=0.5))
    done = call("retie", "l.tflite")
    assert done.returncode == 1
    assert "runtimes would still differ" in done.stderr
    assert "--like RUNTIME" in done.stderr


def test_colour_and_mnists_preparation():
    with pytest.raises(BadInputError, match="MNIST's are grey and centred: name pictures in colour with --data"):
        PreparationRequest(16, 16, 3).completed(MNIST)
    assert PreparationRequest(16, 16, 3, centred=False).completed(MNIST).channels == 3


def test_a_dynamic_onnx_is_not_called_float():
    class Node:
        operator = name = output_name = "DynamicQuantizeLinear"

    assert "is quantised dynamically" in unsupported_problem([Node()], ["Conv"])


def test_networks_are_listed_once():
    with pytest.raises(BadInputError) as refused:
        reader.load("zzz")
    assert str(refused.value).count("lenet5-tiny") == 1
