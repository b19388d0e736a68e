"""Which rule does each runtime round by? Each is asked directly, with accumulators next to rounding ties.

A layer whose input is its zero point has an accumulator that is its bias, so a
row of biases is a row of accumulators of our choice, of both signs, on and
next to the ties n + 1/2 of random multipliers. `RUNTIMES` is the expectation.
"""

from pathlib import Path

import numpy as np
import pytest

from lenet_edge.engines import ENGINES
from lenet_edge.formats import c_source, onnx, tflite
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d, Flatten, FullyConnected, QTensor, QuantizedModel
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.requantize import RULES, multipliers
from lenet_edge.quantized.runtimes import RUNTIMES, RuntimeRules
from lenet_edge.quantized.verify import verify
from lenet_edge.records import write_artefact

FIRMWARE = Path(__file__).parents[2] / "firmware"
CHANNELS = 756  # 94 whole blocks of 8 and a rest of 4; as many in one model, since some runtimes take seconds to start
SCALE = float(np.float32(1 / 255))
OUTPUT_SCALE = float(np.float32(0.05))
ENGINES_WITH_RULES = [name for name in RUNTIMES if name != "pytorch"]  # PyTorch runs LeNet-5 only


def make_layer(kind, weight_scales, bias):
    """A layer of that kind with a flat or 1x1 output, zero point 0, that adds its bias to zeros."""
    if kind is FullyConnected:
        weights = np.ones((CHANNELS, 8), np.int8)
        source, target = QTensor((8,), SCALE, -128), QTensor((CHANNELS,), OUTPUT_SCALE, 0)
    elif kind is Conv2d:
        weights = np.ones((CHANNELS, 3, 3, 2), np.int8)
        source, target = QTensor((3, 3, 2), SCALE, -128), QTensor((1, 1, CHANNELS), OUTPUT_SCALE, 0)
    else:
        weights = np.ones((3, 3, CHANNELS), np.int8)
        source, target = QTensor((3, 3, CHANNELS), SCALE, -128), QTensor((1, 1, CHANNELS), OUTPUT_SCALE, 0)
    return kind("probe", source, target, weights, bias, weight_scales)


def probe(kind):
    """A model of one layer whose accumulators are on a tie or next to one."""
    random = np.random.default_rng(0)
    scales = random.uniform(0.02, 0.5, CHANNELS).astype(np.float32)
    real = multipliers(make_layer(kind, scales, np.zeros(CHANNELS, np.int32))).float32.astype(float)
    ties = random.integers(-120, 120, CHANNELS) + 0.5
    bias = (np.rint(ties / real) + random.integers(-1, 2, CHANNELS)).astype(np.int32)
    layer = make_layer(kind, scales, bias)
    first = (Flatten("flatten", QTensor((1, 1, 8), SCALE, -128), layer.input),) if kind is FullyConnected else ()
    return verify(QuantizedModel((*first, layer)))


def files(model, folder):
    """The artefacts that the engines take."""
    made = {"tflite": folder / "probe.tflite", "onnx": folder / "qdq.onnx", "onnx-qoperator": folder / "qoperator.onnx"}
    made["c"] = folder / "c"
    made["tflite"].write_bytes(tflite.to_bytes(model))
    made["onnx"].write_bytes(onnx.to_bytes(model, "qdq"))
    made["onnx-qoperator"].write_bytes(onnx.to_bytes(model, "qoperator"))
    write_artefact(
        made["c"],
        c_source.export(c_source.make_plan(model), FIRMWARE),
        model.fingerprint,
        **c_source.facts(c_source.make_plan(model)),
    )
    return made


@pytest.mark.parametrize("kind", [FullyConnected, Conv2d, DepthwiseConv2d])
@pytest.mark.parametrize("engine", ENGINES_WITH_RULES)
def test_runtime_follows_its_rule(engine, kind, tmp_path):
    model = probe(kind)
    images = np.full((1, *model.input.shape), -128, np.int8)
    found = ENGINES[engine].run(files(model, tmp_path)[ENGINES[engine].artefact], images)
    expected = run(model, images, RUNTIMES[engine])
    np.testing.assert_array_equal(found.ravel(), expected.ravel())


@pytest.mark.parametrize("kind", [FullyConnected, Conv2d, DepthwiseConv2d])
def test_probe_tells_the_rules_apart(kind):
    """Were two rules equal on the probe, the test above could not fail."""
    model = probe(kind)
    images = np.full((1, *model.input.shape), -128, np.int8)
    outputs = {rule: run(model, images, RuntimeRules(rule, rule, rule)).ravel() for rule in RULES}
    for first in RULES:
        for second in RULES:
            # single and float32 part on multipliers that float32 holds badly: rare, and not the point here
            if first < second and {first, second} != {"single", "float32"}:
                assert np.count_nonzero(outputs[first] != outputs[second]) > 10, (first, second)
