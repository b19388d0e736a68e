"""ONNX from its own quantiser, read: ONNX Runtime's integers are those that its rule predicts, in every tensor."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import qdq_graphs
from float_graphs import lenet5, residual

from lenet_edge.engines import host_c, onnxruntime
from lenet_edge.formats import c_source
from lenet_edge.formats.int8_models import load
from lenet_edge.formats.onnx.reader import import_bytes
from lenet_edge.quantized.like import as_computed_by
from lenet_edge.quantized.proof import prove
from lenet_edge.quantized.reference import layer_outputs, run
from lenet_edge.quantized.runtimes import REFERENCE, rules_of
from lenet_edge.quantized.tie_free import is_tie_free
from lenet_edge.records import write_artefact
from lenet_edge.resources import firmware_folder
from lenet_edge.retie import retie

pytest.importorskip("onnxruntime.quantization")
IMAGES = 60
FORMS = {
    "int8": {"activations": "QInt8"},
    "int8, one scale": {"activations": "QInt8", "per_channel": False},
    "int8, symmetric": {"activations": "QInt8", "extra": {"ActivationSymmetric": True}},
    "uint8": {"activations": "QUInt8", "reduce_range": True},
    "uint8 weights": {
        "activations": "QUInt8",
        "weights": "QUInt8",
        "per_channel": False,
        "extra": {"WeightSymmetric": True},
    },
}
"""What quantize_static is asked for. Seven bits of weights for uint8: on processors without VNNI its kernels saturate
(see `engines.onnxruntime`)."""
NETWORKS = {"lenet5": lenet5, "residual": residual, "lenet5 of MatMul": lambda: lenet5(matmul=True)}


def quantized(data, shape, folder, activations, weights="QInt8", per_channel=True, reduce_range=False, extra=None):
    """The bytes of the file that ONNX Runtime's quantiser writes."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            random = np.random.default_rng(1)
            self.left = [{"image": random.random((1, *shape), np.float32)} for _ in range(8)]

        def get_next(self):
            return self.left.pop() if self.left else None

    source, target = folder / "float.onnx", folder / "int8.onnx"
    source.write_bytes(data)
    types = {"activation_type": QuantType[activations], "weight_type": QuantType[weights]}
    options = {"per_channel": per_channel, "reduce_range": reduce_range, "extra_options": extra or {}}
    quantize_static(source, target, Reader(), quant_format=QuantFormat.QDQ, **types, **options)
    return target.read_bytes()


def integer_tensors(data):
    """The file with each integer tensor as a further output: (bytes, the names of these)."""
    found, model = import_bytes(data, "x"), onnx.load_model_from_string(data)
    wanted = [node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    wanted = [name for name in wanted if name in found.tensors]
    known = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in known)
    return model.SerializeToString(), wanted


def our_c(model, images, folder):
    """What the exported C computes that is to be like ONNX Runtime."""
    like = as_computed_by("onnxruntime", model)
    plan = c_source.make_plan(like)
    assert c_source.facts(plan)["requantization"] == "float32, half to even"
    write_artefact(
        folder / "c", c_source.export(plan, firmware_folder()), like.fingerprint, target="c", **c_source.facts(plan)
    )
    return host_c.run(folder / "c", images)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_integer_is_the_one_that_its_rule_says(network, form, tmp_path):
    data, shape = NETWORKS[network]()
    quantised = quantized(data, shape, tmp_path, **FORMS[form])
    found = import_bytes(quantised, "int8.onnx")
    model = found.model.with_metadata(imported=found)
    stored = np.random.default_rng(2).integers(-128, 128, (IMAGES, *model.input.shape)).astype(np.int8)
    rules = rules_of("onnxruntime", model)
    real = ((stored.astype(np.int64) - model.input.zero_point) * np.float32(model.input.scale)).astype(np.float32)
    outputs = layer_outputs(model, stored, rules)
    ours = {layer.name: values.reshape(IMAGES, -1) for layer, values in zip(model.layers, outputs, strict=True)}
    watched, wanted = integer_tensors(quantised)
    assert len(wanted) >= 8
    session = onnxruntime._session(watched, tmp_path, True)
    for name, theirs in zip(wanted, session.run(wanted, {"image": real.transpose(0, 3, 1, 2)}), strict=True):
        layer, index = found.tensors[name]
        shift = 128 if theirs.dtype == np.uint8 else 0
        assert np.array_equal(theirs.reshape(IMAGES, -1).astype(int) - shift, ours[layer][:, index.ravel()]), name
    (tmp_path / "ends.onnx").write_bytes(found.onnx)
    theirs = onnxruntime.run(tmp_path / "ends.onnx", stored, optimize=True)
    assert np.array_equal(theirs, run(model, stored, rules))
    assert np.array_equal(theirs, our_c(model, stored, tmp_path))
    assert (run(model, stored, rules) != run(model, stored, REFERENCE)).any()  # else it proves nothing


def test_retie_makes_it_exact(tmp_path):
    data, shape = residual()
    path = tmp_path / "int8.onnx"
    path.write_bytes(quantized(data, shape, tmp_path, **FORMS["int8"]))
    model, _ = load(path)
    assert not is_tie_free(model)
    assert prove(retie(model).model).passed


@pytest.mark.parametrize("element", [qdq_graphs.INT8, qdq_graphs.UINT8])
def test_pytorch_has_one_image_at_a_time(element, tmp_path):
    """`residual` of the graphs by hand takes a batch of exactly one, as PyTorch's exporter writes it."""
    found = import_bytes(qdq_graphs.residual(element), "x")
    path = tmp_path / "ends.onnx"
    path.write_bytes(found.onnx)
    stored = np.random.default_rng(3).integers(-128, 128, (5, *found.model.input.shape)).astype(np.int8)
    rules = rules_of("onnxruntime", found.model.with_metadata(imported=found))
    ours = run(found.model, stored, rules)
    assert np.array_equal(onnxruntime.run(path, stored, optimize=True), ours)
    assert np.array_equal(our_c(found.model.with_metadata(imported=found), stored, tmp_path), ours)
