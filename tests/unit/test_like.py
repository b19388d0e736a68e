"""A model as another runtime computes it: which one that is, and when it is the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sample_models
from operator_graph import every_operator
from random_chains import Chain

from lenet_edge.cli.like import LIKE
from lenet_edge.errors import BadInputError
from lenet_edge.formats import c_source
from lenet_edge.quantized import like
from lenet_edge.quantized.like import as_computed_by, original
from lenet_edge.quantized.lookup import OUTPUT_SCALING, reference_table, table_by_rule
from lenet_edge.quantized.model import AveragePool2d, Lookup, QTensor, QuantizedModel, Softmax
from lenet_edge.quantized.reference import layer_outputs, run
from lenet_edge.quantized.runtimes import RUNTIMES

ORDINARY, TIE_FREE = sample_models.lenet5(31, "ordinary"), sample_models.lenet5(31)
IMAGES = np.random.default_rng(5).integers(-128, 128, (200, 28, 28, 1), dtype=np.int8)


def test_the_options_names_are_the_models():
    assert LIKE == like.RUNTIMES


@pytest.mark.parametrize("runtime", like.RUNTIMES)
def test_on_the_tie_free_grid_nothing_changes(runtime):
    assert as_computed_by(runtime, TIE_FREE) is TIE_FREE
    assert as_computed_by("tflm", ORDINARY) is ORDINARY


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert-xnnpack"])
def test_another_runtimes_integers_are_another_model(runtime):
    found = as_computed_by(runtime, ORDINARY)
    assert found.fingerprint != ORDINARY.fingerprint
    assert (original(found), original(ORDINARY), found.metadata["like"]) == (ORDINARY, ORDINARY, runtime)
    expected = run(ORDINARY, IMAGES, RUNTIMES[runtime])
    assert (run(found, IMAGES) == expected).all()
    assert (expected != run(ORDINARY, IMAGES)).any()
    assert (list(layer_outputs(found, IMAGES))[-1].reshape(expected.shape) == expected).all()


def test_what_has_no_ties_keeps_tflms_rule():
    """A mean is not the same everywhere; the layers with weights around it are, and keep the division."""
    model = Chain(1, (8, 8, 3), tie_free=True).conv(4, (3, 3)).pool((2, 2), kind=AveragePool2d).build()
    found = as_computed_by("onnxruntime", model)
    assert found.rounding == ("tflm", "onnxruntime")
    plan = c_source.make_plan(found, "cortex_m_dsp")
    assert c_source.facts(plan)["requantization"] == "tie-free"


def test_fast_kernels_step_back_and_say_why():
    facts = c_source.facts(c_source.make_plan(as_computed_by("onnxruntime", ORDINARY), "cortex_m_dsp"))
    assert (facts["like"], facts["requantization"]) == ("onnxruntime", "float32, half to even")
    weighted = [step for step in facts["steps"] if step["macs"]]
    assert {(step["kernel"], step["why_plain"]) for step in weighted} == {
        ("plain", "the fast kernels round as TFLM does, not in float32")
    }
    assert "like" not in c_source.facts(c_source.make_plan(ORDINARY))


def test_tables_are_the_runtimes_own():
    layer = next(filter(is_different_in_xnnpack, map(tanh, np.geomspace(0.001, 100, 400))))
    found = as_computed_by("litert-xnnpack", QuantizedModel((layer,)))
    inputs = np.arange(-128, 128, dtype=np.int8).reshape(16, 16)
    assert (run(found, inputs) == run(QuantizedModel((layer,)), inputs, RUNTIMES["litert-xnnpack"])).all()
    assert found.rounding == ()
    assert found.fingerprint != QuantizedModel((layer,)).fingerprint


def tanh(scale):
    source, target = QTensor((16,), float(np.float32(scale)), 0), QTensor((16,), *OUTPUT_SCALING["tanh"])
    return Lookup("act", source, target, "tanh", reference_table("tanh", source))


def is_different_in_xnnpack(layer):
    return (table_by_rule("xnnpack", "tanh", layer.input.scale, 0) != layer.table).any()


def test_what_cannot_be_like_it_is_named():
    model = every_operator()
    unknown = replace(model, metadata={"imported": Rules({model.layers[0].name: "unknown"})})
    with pytest.raises(BadInputError, match=r"onnxruntime computes layers? .* in floats that nothing predicts.*retie"):
        as_computed_by("onnxruntime", unknown)
    tensor = QTensor((10,), 0.1, 0)
    softmax = QuantizedModel((Softmax("softmax", tensor, QTensor((10,), 1 / 256, -128), 1.0),))
    with pytest.raises(BadInputError, match=r"layer softmax: the C has no kernel that rounds this Softmax.*tflm"):
        c_source.make_plan(as_computed_by("onnxruntime", softmax))


class Rules:
    """The part of an `Imported` that is asked for."""

    def __init__(self, rules):
        self.rules = rules
