"""The proof finds what is planted, and the comparison of rules counts as plain enumeration does."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import sample_models
from hypothesis import given
from hypothesis import strategies as st

from lenet_edge.errors import BadInputError
from lenet_edge.quantized import proof
from lenet_edge.quantized.lookup import TABLE_RULES
from lenet_edge.quantized.model import QuantizedModel, accumulator_bounds, channel_weights, input_ranges
from lenet_edge.quantized.proof import compare_rules, prove
from lenet_edge.quantized.requantize import RULES, Multipliers, multipliers
from lenet_edge.quantized.tie_free import grid_scale, ideal, is_tie_free


def with_layer(model, index, **changes):
    layers = list(model.layers)
    layers[index] = replace(layers[index], **changes)
    return QuantizedModel(tuple(layers))


@pytest.fixture(scope="module")
def model():
    return sample_models.every_layer()


def test_a_tie_free_model_is_proved(model):
    result = prove(model)
    assert result.passed
    assert result.disagreements == 0
    assert [layer.name for layer in result.layers] == ["conv", "depthwise", "tanh", "hidden", "sigmoid", "out"]
    assert result.cases == sum(layer.cases for layer in result.layers) > 100_000
    assert all(set(layer.disagreements) == set(RULES) for layer in result.layers if layer.q_min is not None)
    tables = [layer for layer in result.layers if layer.q_min is None]
    assert [(layer.cases, layer.channels) for layer in tables] == [(256, 1), (256, 1)]
    assert all(layer.margin > 0 for layer in tables)


def test_every_reachable_accumulator_is_counted(model):
    layer, (low, high) = model.layers[0], input_ranges(model)[0]
    minimum, maximum = accumulator_bounds(layer, low, high)
    steps = np.gcd.reduce(channel_weights(layer), axis=1)
    assert prove(model).layers[0].cases == int(((maximum - minimum) // steps + 1).sum())


def test_an_ordinary_model_has_no_proof():
    with pytest.raises(BadInputError, match="not on the tie-free grid: layer conv"):
        prove(sample_models.every_layer(grid="ordinary"))


def planted(model, q, **changes):
    """Disagreements by rule of the first layer, had `channel_q` taken its scales for those of `q`."""
    layer = with_layer(model, 0, **changes).layers[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof, "channel_q", lambda _: q)
        return proof._prove_weighted(layer, *input_ranges(model)[0]).disagreements


def test_planted_odd_bias_puts_accumulators_on_ties(model):
    layer = model.layers[0]
    q, output = proof.channel_q(layer), replace(layer.output, zero_point=0)
    assert not any(planted(model, q, output=output).values())
    bias = layer.bias.copy()
    bias[1] += 1
    disagreements = planted(model, q, bias=bias, output=output)
    assert not is_tie_free(with_layer(model, 0, bias=bias))
    assert disagreements["tflm"] > 0
    assert disagreements["float32"] > 0


@pytest.mark.parametrize("bad_q", [1023, 2])
def test_planted_q_that_is_not_admissible(model, bad_q):
    """1023 breaks the rules that round twice, an even q all that do not round ties up."""
    layer, q = model.layers[0], proof.channel_q(model.layers[0]).copy()
    scales = layer.weight_scales.copy()
    scales[2], q[2] = grid_scale(layer.input.scale, layer.output.scale, bad_q), bad_q
    weights = np.where(np.arange(4)[:, None, None, None] == 2, np.int8(126), layer.weights)
    weights[2, 0, 0, 0] = 2
    changes = {"weight_scales": scales, "weights": weights, "output": replace(layer.output, zero_point=0)}
    assert not is_tie_free(with_layer(model, 0, **changes))
    assert sum(planted(model, q, **changes).values()) > 0


@pytest.mark.parametrize("direction", [-1, 1])
def test_planted_scale_of_another_q(model, direction):
    """The scale of q - 2 or q + 2 in place of that of q."""
    layer, q = model.layers[0], proof.channel_q(model.layers[0])
    scales = layer.weight_scales.copy()
    scales[0] = grid_scale(layer.input.scale, layer.output.scale, int(q[0]) + 2 * direction)
    assert all(count > 0 for count in planted(model, q, weight_scales=scales).values())


@pytest.mark.parametrize("direction", [-np.inf, np.inf])
def test_planted_scale_one_step_off(model, direction):
    layer = model.layers[0]
    for channel in range(4):
        scales = layer.weight_scales.copy()
        scales[channel] = np.nextafter(scales[channel], np.float32(direction))
        changed = with_layer(model, 0, weight_scales=scales)
        assert not is_tie_free(changed)
        with pytest.raises(BadInputError, match=f"layer conv: channel {channel}"):
            prove(changed)


def test_planted_table_entry(model):
    table = model.layers[2].table.copy()
    table[77] += 1
    with pytest.raises(
        BadInputError, match=r"layer tanh: runtimes differ in 1 of the 256 entries of its table, by up to 1"
    ):
        prove(with_layer(model, 2, table=table))


# --- compare_rules -------------------------------------------------------------------------------


def plain_counts(layer, low, high):
    """Every accumulator of every channel, none left out."""
    counts = dict.fromkeys(combinations(RULES, 2), 0)
    minimum, maximum = accumulator_bounds(layer, low, high)
    steps = np.maximum(np.gcd.reduce(channel_weights(layer), axis=1), 1)
    for channel, step in enumerate(steps):
        accumulators = np.arange(minimum[channel], maximum[channel] + 1, step)
        results = {
            name: np.clip(
                rule(accumulators, multipliers(layer, name)[channel : channel + 1]) + layer.output.zero_point,
                layer.clamp_min,
                layer.clamp_max,
            )
            for name, rule in RULES.items()
        }
        for first, second in counts:
            counts[first, second] += int((results[first] != results[second]).sum())
    return counts


@pytest.mark.parametrize("zero_point", [-128, -3, 0, 127])
@pytest.mark.parametrize("seed", [0, 1])
def test_leaving_out_saturated_accumulators_changes_no_count(seed, zero_point):
    """A narrow output, so that most accumulators are saturated, and many ties: multipliers with few bits."""
    layer = sample_models.every_layer(seed, "ordinary").layers[0]
    scale = float(np.float32(layer.output.scale / 8))
    scales = np.array([0.25, 0.75, 0.0625, 0.03], np.float32) * np.float32(scale / layer.input.scale)
    layer = replace(layer, output=replace(layer.output, scale=scale, zero_point=zero_point), weight_scales=scales)
    layer = replace(layer, clamp_min=max(-100, zero_point - 20), clamp_max=min(127, zero_point + 90))
    (comparison,) = compare_rules(QuantizedModel((layer,)))
    expected = plain_counts(layer, -128, 127)
    assert comparison.differ == expected
    assert sum(expected.values()) > 0
    assert comparison.accumulators < sum(map(len, proof._reachable(layer, -128, 127)))


@given(
    mantissa=st.integers(2**30, 2**31 - 1),
    shift=st.integers(-31, 8),
    start=st.integers(-(2**31) + 1, 2**31 - 4098) | st.integers(-5000, 1000),
)
def test_every_rule_is_monotone(mantissa, shift, start):
    """What the proof of the accumulators that are not enumerated rests on."""
    accumulators = np.arange(start, start + 4097)
    accumulators = accumulators[np.abs(accumulators) < 2 ** (31 - max(shift, 0))]  # `verify` refuses the others
    scale = np.array([mantissa * 2.0 ** (shift - 31)], np.float32)
    by = Multipliers(np.array([mantissa]), np.array([shift]), scale)
    for name, rule in RULES.items():
        assert (np.diff(rule(accumulators, by)) >= 0).all(), name


@pytest.mark.parametrize("zero_point", [-128, 5, 127])
@pytest.mark.parametrize("q", [3, 127, 1021])
def test_the_first_accumulator_beyond_the_clamp_is_enumerated_on_either_side(zero_point, q):
    """By the ideal result; where none is within, the nearest."""
    layer = sample_models.every_layer().layers[0]
    output = replace(layer.output, zero_point=zero_point)
    scales = np.full(4, grid_scale(layer.input.scale, output.scale, q), np.float32)
    for bias in (0, -(2**20), 2**20):
        biases = np.full(4, bias, np.int32)
        changed = replace(layer, output=output, weight_scales=scales, bias=biases, clamp_min=-90, clamp_max=100)
        every = proof._reachable(changed, -128, 127)
        for reachable, kept in zip(every, proof._unsaturated(changed, every), strict=True):
            assert set(kept) <= set(reachable)
            assert kept
            results = ideal(np.array(reachable), q, changed)
            left_out = np.array([number < kept[0] for number in reachable])
            assert (results[left_out] == -90).all()
            assert kept[0] == reachable[0] or ideal(np.array(kept[:1]), q, changed)[0] == -90
            assert kept[-1] == reachable[-1] or ideal(np.array(kept[-1:]), q, changed)[0] == 100
            assert (results[np.array(reachable) > kept[-1]] == 100).all()


def test_tables_are_compared_too(model):
    comparisons = {comparison.name: comparison for comparison in compare_rules(model)}
    assert comparisons["tanh"].accumulators == 256
    assert comparisons["tanh"].differ == dict.fromkeys(combinations(TABLE_RULES, 2), 0)
    assert not any(sum(comparison.differ.values()) for comparison in comparisons.values())


def test_too_many_accumulators_are_refused(model):
    with pytest.raises(BadInputError, match="too many"):
        compare_rules(model, limit=1000)
