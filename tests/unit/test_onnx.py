"""The ONNX files by themselves: structure, constants, bytes. What a runtime makes of them is in tests/parity."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import sample_models
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from lenet_edge.errors import BadInputError
from lenet_edge.formats.onnx import float_to_bytes, to_bytes
from lenet_edge.formats.onnx.bias_rows import bias_rows
from lenet_edge.networks import reader
from lenet_edge.quantized.model import (
    Flatten,
    FullyConnected,
    QTensor,
    QuantizedModel,
    Softmax,
)

SAMPLES = ("lenet5", "lenet5_sigmoid", "every_layer", "average_pool_softmax")
FORMS = ("qdq", "qoperator")


def parsed(content: bytes) -> onnx.ModelProto:
    model = onnx.load_model_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    return model


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def signature(info: onnx.ValueInfoProto) -> tuple:
    tensor = info.type.tensor_type
    sizes = [dimension.dim_param or dimension.dim_value for dimension in tensor.shape.dim]
    return info.name, onnx.TensorProto.DataType.Name(tensor.elem_type), sizes


def single_layer(**changes) -> QuantizedModel:
    """One FullyConnected of the samples as a whole model, changed."""
    layer = sample_models.every_layer(5).layers[-1]
    assert isinstance(layer, FullyConnected)
    return QuantizedModel((replace(layer, **changes),))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_the_file_has_standard_operators_only_and_no_transpose(sample, form):
    model = parsed(to_bytes(getattr(sample_models, sample)(1), form))
    assert {node.domain for node in model.graph.node} == {""}
    assert [entry.domain for entry in model.opset_import] == [""]
    assert "Transpose" not in {node.op_type for node in model.graph.node}
    matrix_operators = {"Conv", "Gemm"} if form == "qdq" else {"QLinearConv", "QLinearMatMul"}
    found = {node.op_type for node in model.graph.node} & {"Conv", "Gemm", "MatMul", "QLinearConv", "QLinearMatMul"}
    assert found == matrix_operators


@pytest.mark.parametrize("form", FORMS)
def test_image_and_logits_have_a_symbolic_batch(form):
    graph = parsed(to_bytes(sample_models.every_layer(1), form)).graph
    assert [signature(info) for info in graph.input] == [("image", "INT8", ["n", 2, 13, 11])]
    assert [signature(info) for info in graph.output] == [("logits", "INT8", ["n", 5])]


@pytest.mark.parametrize("form", FORMS)
def test_every_layer_is_a_node_and_an_int8_tensor_of_its_name(form):
    graph = parsed(to_bytes(sample_models.lenet5(1), form)).graph
    assert [(info.name, info.type.tensor_type.elem_type) for info in graph.value_info] == [
        (name, onnx.TensorProto.INT8) for name in ("C1", "S2", "C3", "S4", "flatten", "C5", "F6")
    ]
    outputs = {node.name: list(node.output) for node in graph.node}
    assert outputs["C3"] == ["C3"]
    assert outputs["OUTPUT"] == ["logits"]


def test_metadata_says_what_the_file_is():
    model = sample_models.lenet5(1)
    file = parsed(to_bytes(model))
    entries = {entry.key: entry.value for entry in file.metadata_props}
    assert entries["fingerprint"] == model.fingerprint
    assert entries["arch"] == "lenet5"
    assert json.loads(entries["classes"]) == [str(digit) for digit in range(10)]
    assert entries["lenet_edge"] == file.producer_version
    assert [entry.key for entry in file.metadata_props] == sorted(entries)
    assert file.producer_name == "lenet-edge"


def test_bytes_do_not_depend_on_the_hash_seed_or_the_folder(tmp_path):
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]); import sample_models;"
        "from lenet_edge.formats.onnx import to_bytes; model = sample_models.every_layer(2);"
        "print(*(hashlib.sha256(to_bytes(model, form)).hexdigest() for form in ('qdq', 'qoperator')))"
    )
    here = [hashlib.sha256(to_bytes(sample_models.every_layer(2), form)).hexdigest() for form in FORMS]
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parents[1])],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == here


def test_columns_behind_flatten_are_in_channel_row_column_order():
    model = sample_models.every_layer(3)
    flatten = next(layer for layer in model.layers if isinstance(layer, Flatten))
    hidden = next(layer for layer in model.layers if isinstance(layer, FullyConnected))
    height, width, channels = flatten.input.shape
    weights = constants(parsed(to_bytes(model)))["hidden/weights"]
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                ours = hidden.weights[:, (y * width + x) * channels + c]
                np.testing.assert_array_equal(weights[:, (c * height + y) * width + x], ours)


def test_bias_scale_is_the_float32_product():
    model = sample_models.lenet5(1)
    first = model.layers[0]
    expected = np.float32(first.input.scale) * first.weight_scales
    found = constants(parsed(to_bytes(model)))["C1/bias_scales"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("form", FORMS)
def test_scalars_have_no_axes(form):
    """ONNX Runtime refuses some fusions of scales with one axis of one element."""
    values = constants(parsed(to_bytes(sample_models.average_pool_softmax(), form)))
    assert {value.shape for name, value in values.items() if name.startswith(("scale/", "int8/"))} == {()}


@pytest.mark.parametrize("form", FORMS)
def test_a_clamp_other_than_int8_is_a_clip(form):
    model = single_layer(clamp_min=-20, clamp_max=50)
    file = parsed(to_bytes(model, form))
    last = file.graph.node[-1]
    assert (last.op_type, last.output[0]) == ("Clip", "logits")
    values = constants(file)
    assert [int(values[name]) for name in last.input[1:]] == [-20, 50]


@pytest.mark.parametrize("form", FORMS)
def test_saturation_is_clamp_enough_for_the_whole_range(form):
    file = parsed(to_bytes(single_layer(), form))
    assert "Clip" not in {node.op_type for node in file.graph.node}


def test_no_quantize_linear_is_next_to_a_dequantize_linear():
    """Such a pair would be made uint8 by ONNX Runtime's optimiser; see `_Writer.dequantize`."""
    for sample in SAMPLES:
        for form in FORMS:
            nodes = parsed(to_bytes(getattr(sample_models, sample)(1), form)).graph.node
            quantized = {node.output[0] for node in nodes if node.op_type == "QuantizeLinear"}
            read = {node.input[0] for node in nodes if node.op_type == "DequantizeLinear"}
            assert quantized or form == "qoperator"
            assert not quantized & read


def test_names_are_made_unique():
    layers = sample_models.lenet5(1).layers
    named = [replace(layer, name=name) for layer, name in zip(layers, ["image", "C", "C", "", "C", "C", "C", "C"])]  # noqa: B905
    graph = parsed(to_bytes(QuantizedModel(tuple(named)))).graph
    outputs = [output for node in graph.node for output in node.output]
    assert len(outputs) == len(set(outputs))


# --- the bias of QLinearMatMul --------------------------------------------------------------------


@given(
    bias=st.lists(st.integers(-(2**24), 2**24), min_size=1, max_size=4),
    zero_point=st.integers(-128, 127),
    even=st.booleans(),
)
def test_bias_rows_sum_up_to_the_bias(bias, zero_point, even):
    values = np.array(bias, np.int32) * (2 if even else 1)
    count = len(bias)
    layer = FullyConnected(
        "fc",
        QTensor((3,), 0.5, zero_point),
        QTensor((count,), 0.5, 0),
        np.full((count, 3), 2 if even else 1, np.int8),
        values,
        np.ones(count, np.float32),
    )
    rows = bias_rows(layer)
    inputs = [value for value, times in rows.inputs for _ in range(times)]
    assert all(-128 <= value <= 127 for value in inputs)
    assert rows.weights.dtype == np.int8
    assert np.abs(rows.weights.astype(int)).max(initial=0) <= 126
    for channel in range(count):
        total = sum((x - zero_point) * int(w) for x, w in zip(inputs, rows.weights[channel], strict=True))
        assert total == int(values[channel])
    if even:
        assert not (rows.weights % 2).any()


def test_a_bias_of_lenet_5_takes_few_rows():
    for layer in sample_models.lenet5(1).layers:
        if isinstance(layer, FullyConnected):
            assert bias_rows(layer).weights.shape[1] <= 8


def test_a_huge_bias_is_refused_for_qoperator_only():
    model = single_layer(bias=np.full(5, 2**30, np.int32))
    with pytest.raises(BadInputError, match=r"layer out: a bias of 1073741824 .* export the qdq form"):
        to_bytes(model, "qoperator")
    parsed(to_bytes(model, "qdq"))


# --- what cannot be expressed ---------------------------------------------------------------------


def test_an_unknown_form_is_refused():
    with pytest.raises(BadInputError, match="there is no ONNX form 'qop'"):
        to_bytes(sample_models.lenet5(1), "qop")


def test_a_softmax_with_beta_is_refused():
    tensor = QTensor((4,), 0.5, 0)
    model = QuantizedModel((Softmax("soft", tensor, QTensor((4,), 1 / 256, -128), beta=0.5),))
    with pytest.raises(BadInputError, match="layer soft: ONNX's Softmax has no beta"):
        to_bytes(model)


# --- the float network ----------------------------------------------------------------------------


def float_tensors(classes: int = 10) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {"features.C1": (6, 1, 5, 5), "features.C3": (16, 6, 5, 5), "classifier.C5": (120, 400)}
    shapes |= {"classifier.F6": (84, 120), "classifier.OUTPUT": (classes, 84)}
    weights = {f"{name}.weight": random.normal(0, 0.1, shape) for name, shape in shapes.items()}
    biases = {f"{name}.bias": random.normal(0, 0.1, shape[0]) for name, shape in shapes.items()}
    return {name: value.astype(np.float32) for name, value in {**weights, **biases}.items()}


@pytest.mark.parametrize("name", ["lenet5", "lenet5-sigmoid"])
def test_the_float_network_is_accepted_by_the_checker(name):
    network = reader.load(name)
    content = float_to_bytes(float_tensors(3), network, (28, 28, 1), ("a", "b", "c"))
    graph = parsed(content).graph
    assert [signature(info) for info in graph.input] == [("image", "FLOAT", ["n", 1, 28, 28])]
    expected = [("logits", "FLOAT", ["n", 3]), ("distribution", "FLOAT", ["n", 3])]
    assert [signature(info) for info in graph.output] == expected
    assert content == float_to_bytes(float_tensors(3), network, (28, 28, 1), ("a", "b", "c"))


def test_a_float_tensor_that_is_missing_is_named():
    tensors = float_tensors()
    del tensors["classifier.F6.bias"]
    with pytest.raises(BadInputError, match=r"lacks the tensor classifier\.F6\.bias"):
        float_to_bytes(tensors, reader.load("lenet5"), (28, 28, 1), "0123456789")


def test_a_float_tensor_of_another_shape_is_named():
    with pytest.raises(BadInputError, match=r"classifier.OUTPUT.weight has shape \[10, 84\], expected \[7, 84\]"):
        float_to_bytes(float_tensors(), reader.load("lenet5"), (28, 28, 1), "0123456")
