"""All cases of layers without weights: which scales suit every runtime, and what `analyze` says of others."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from lenet_edge.cli import cli
from lenet_edge.formats import tflite
from lenet_edge.quantized import rescale
from lenet_edge.quantized.model import Add, Mean, Multiply, QTensor, QuantizedModel, Rescale, Subtract
from lenet_edge.quantized.operator_cases import cases, tie_problem
from lenet_edge.quantized.proof import compare_rules, prove
from lenet_edge.quantized.runtimes import RUNTIMES, unknown_layers
from lenet_edge.quantized.tie_free import is_tie_free, tie_free_problem

BASE = float(np.float32(0.0371))


def tensor(scale, zero_point, *shape):
    return QTensor(shape or (4,), float(np.float32(scale)), zero_point)


def model_of(layer):
    return QuantizedModel((layer,), {}, ((-1, -2),) if hasattr(layer, "inputs") else ((-1,),))


def pair(kind, first, second, output):
    return kind("pair", (tensor(first * BASE, 3), tensor(second * BASE, -9)), tensor(output * BASE, 5))


@pytest.mark.parametrize("kind", [Add, Subtract])
@pytest.mark.parametrize(
    ("first", "second", "output"),
    [(1, 1, 1), (1, 1, 3), (1, 1, 5), (1, 4, 5 / 4), (2, 3, 3 / 2), (3, 5, 7 / 2), (1, 7, 9 / 4), (5, 8, 13 / 3)],
)
def test_sums_whose_scales_are_whole_multiples_and_an_odd_part_are_tie_free(kind, first, second, output):
    assert is_tie_free(model_of(pair(kind, first, second, output)))
    assert prove(model_of(pair(kind, first, second, output))).passed


def test_a_sum_in_halves_is_rounded_differently_where_it_is_odd_and_negative():
    """TFLM rounds half away from zero there, XNNPACK half up."""
    layer = Add("sum", (tensor(1, 0), tensor(1, 0)), tensor(2, 0))
    (found,) = compare_rules(model_of(layer))
    values = range(-128, 128)
    odd = sum((a + b) % 2 and a + b < 0 for a in values for b in values)
    assert (found.accumulators, found.differ["tflm", "xnnpack"]) == (65536, odd)
    assert "layer sum: runtimes round" in str(tie_free_problem(model_of(layer)))


def test_means_are_tie_free_where_each_sum_is_a_whole_number_of_steps():
    layer = Mean("mean", tensor(BASE, 3, 4, 4, 2), tensor(BASE / 16, -3, 1, 1, 2), (0, 1))
    assert tie_problem(layer) is None
    assert "cases differently" in str(tie_problem(replace(layer, output=tensor(BASE, -3, 1, 1, 2))))


def test_a_mean_of_more_values_than_are_enumerated_is_left_out():
    layer = Mean("mean", tensor(BASE, 0, 300, 300, 1), tensor(BASE, 0, 1, 1, 1), (0, 1))
    assert "too many" in str(tie_free_problem(model_of(layer)))
    assert compare_rules(model_of(layer)) == []


@pytest.mark.parametrize(("ratio", "suits"), [(1.0, True), (2.0, True), (0.5, False), (0.3, False)])
def test_tables(ratio, suits):
    source, target = tensor(BASE, 3), tensor(BASE / ratio, 5)
    table = rescale.table("QUANTIZE", source, target)
    layer = Rescale("table", source, target, "QUANTIZE", table)
    assert is_tie_free(model_of(layer)) == suits


def test_ties_beyond_the_clamp_do_not_count():
    layer = Add("sum", (tensor(1, 0), tensor(1, 0)), tensor(2, 0))
    assert tie_problem(layer)
    assert tie_problem(replace(layer, clamp_min=0, clamp_max=0)) is not None  # 1/2 is 0 or 1, clamped; but near a tie
    assert cases(layer, 10, 20).distance == 0  # odd sums
    assert cases(replace(layer, clamp_max=5), 10, 20).distance == 0.5


def test_products_are_enumerated():
    (found,) = compare_rules(model_of(Multiply("product", (tensor(1, 0), tensor(1, 0)), tensor(64, 0))))
    assert found.accumulators == 65536
    assert found.differ["tflm", "xnnpack"] > 100


def test_analyze_counts_pairs_and_names_runtimes_whose_rule_is_unknown(tmp_path):
    mean = Mean("mean", tensor(BASE, 3, 4, 4, 2), tensor(BASE, -3, 4, 4, 1), (2,))
    assert unknown_layers(model_of(mean), RUNTIMES["onnxruntime"]) == ("mean",)
    (tmp_path / "mean.tflite").write_bytes(tflite.to_bytes(model_of(mean)))
    command = ["analyze", str(tmp_path / "mean.tflite")]
    result = CliRunner().invoke(cli, [*command, "--json"])
    (layer,) = json.loads(result.stdout)["layers"]
    assert layer["rule_unknown_of"] == ["onnxruntime", "onnxruntime-qoperator"]
    assert layer["differ"]["tflm/xnnpack"] > 0
    text = CliRunner().invoke(cli, command).stdout
    assert "rule unknown of onnxruntime, onnxruntime-qoperator" in text.replace("\n", " ")
