"""The tie-free grid: its theorem for every admissible q, its scales, its weights, and what is refused."""

from bisect import bisect_left
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sample_models
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.model import FullyConnected, QTensor, QuantizedModel
from lenet_edge.quantized.requantize import RULES, Multipliers, multipliers
from lenet_edge.quantized.tie_free import (
    ADMISSIBLE_Q,
    LARGEST_Q,
    channel_q,
    grid_scale,
    ideal,
    is_tie_free,
    largest_q,
    smallest_output_scale,
    tie_free_problem,
    to_grid,
)

SCALES = st.floats(2.0**-13, 1, width=32)
Q = st.sampled_from(ADMISSIBLE_Q)
RESULTS = np.arange(-255, 255)  # what any int8 zero point admits


def around_ties(q):
    """The even accumulators on both sides of each tie, and the integers that they belong to.

    Every rule is monotone, so a rule that decides these right decides all right.
    """
    ties = (2 * RESULTS + 1) * q
    return np.stack([ties - 1, ties + 1]), np.stack([RESULTS, RESULTS + 1])


def one_channel(q, input_scale, output_scale, **changes):
    """Its `multipliers` by the default rule are those of one channel of many; by "ruy" those of a lone channel."""
    scale = grid_scale(input_scale, output_scale, q)
    source, target = QTensor((1,), input_scale, 0), QTensor((1,), output_scale, 0)
    layer = FullyConnected(
        "fc", source, target, np.full((1, 1), 2, np.int8), np.zeros(1, np.int32), np.array([scale], np.float32)
    )
    return replace(layer, **changes)


# Rules that are not in RULES, since no engine here uses them.


def cmsis_nn_single(accumulator, by):
    """``arm_nn_requantize`` with CMSIS_NN_USE_SINGLE_ROUNDING; on MVE the same by VQDMULH and VRSHL."""
    return ((accumulator * by.mantissa >> (30 - by.shift)) + 1) >> 1


def xnnpack_rndnu(accumulator, by):
    """XNNPACK's QS8 kernels on NEON: a multiplier of 24 bits from the float32 scale, VQDMULH, VRSHL."""
    bits = by.float32.view(np.int32).astype(np.int64)
    multiplier, shift = (bits << 7) & 0x3FFFFF80 | 0x40000000, 127 + 31 - 32 - (bits >> 23)
    after = np.maximum(shift, 1)
    high = ((accumulator << (after - shift)) * multiplier) >> 31
    return (high + (1 << (after - 1))) >> after


def half_away(product, bits):
    return np.sign(product) * ((np.abs(product) + (np.int64(1) << bits >> 1)) >> bits)


def hifi(accumulator, by):
    """Cadence's xa_nnlib, the form that multiplies by -multiplier: half down, then half away from zero."""
    high = -((-accumulator * by.mantissa + (1 << 30)) >> 31)
    return half_away(high, np.maximum(-by.shift, 0))


def symmetric(accumulator, by):
    """Half away from zero, twice."""
    return half_away(half_away(accumulator * by.mantissa, 31), np.maximum(-by.shift, 0))


OTHER_RULES = {
    "CMSIS-NN single": cmsis_nn_single,
    "XNNPACK rndnu": xnnpack_rndnu,
    "HiFi": hifi,
    "symmetric": symmetric,
}
ALL_RULES = {**RULES, **OTHER_RULES}


@pytest.mark.parametrize("rule", sorted(ALL_RULES))
def test_theorem_every_admissible_q(rule):
    """Every admissible q, with random scales from 1e-4 to 1: every tie of the int8 range is decided right."""
    random = np.random.default_rng(0)
    for q in ADMISSIBLE_Q:
        input_scale, output_scale = (float(np.float32(10 ** random.uniform(-4, 0))) for _ in range(2))
        accumulators, results = around_ties(q)
        by = multipliers(one_channel(q, input_scale, output_scale))
        assert (ALL_RULES[rule](accumulators, by) == results).all(), (q, input_scale, output_scale)


@settings(max_examples=40, deadline=None)
@given(q=Q, input_scale=SCALES, output_scale=SCALES)
@example(q=963, input_scale=0.5, output_scale=0.5)
@example(q=127, input_scale=float(np.float32(1 / 255)), output_scale=1.0)
@example(q=1, input_scale=0.25, output_scale=0.5)
def test_theorem_random_scales(q, input_scale, output_scale):
    accumulators, results = around_ties(q)
    for name, rule in ALL_RULES.items():
        by = multipliers(one_channel(q, input_scale, output_scale))
        assert (rule(accumulators, by) == results).all(), name


@pytest.mark.parametrize("zero_point", [-128, -5, 0, 127])
@settings(max_examples=15, deadline=None)
@given(q=Q, input_scale=SCALES, output_scale=SCALES, start=st.integers(-(2**22), 2**22 - 5000))
def test_all_even_accumulators_saturated_or_not(zero_point, q, input_scale, output_scale, start):
    layer = one_channel(q, input_scale, output_scale, output=QTensor((1,), output_scale, zero_point), clamp_min=-100)
    accumulators = np.arange(2 * start, 2 * start + 10_000, 2)
    exact = [(Fraction(int(a), 2 * q) + Fraction(1, 2)).__floor__() + zero_point for a in accumulators[::500]]
    expected = ideal(accumulators, q, layer)
    assert expected[::500].tolist() == [min(max(value, -100), 127) for value in exact]
    for name, rule in RULES.items():
        result = np.clip(rule(accumulators, multipliers(layer)) + zero_point, -100, 127)
        assert (result == expected).all(), name


def test_theorem_every_multiplier_that_a_grid_scale_can_have():
    """Not a sample: all Q0.31 mantissas within the error of a grid scale, for the q nearest to the bound."""
    for q in (3, 125, 127, 251, 257, 493, 495, 513, 961, 963):
        bits = (2 * q).bit_length() - 1
        largest = 2 ** (31 + bits) // (2 * q)
        smallest = largest - (largest >> 23) - 1
        mantissas = np.arange(smallest + 1, largest + 1)[:, None]
        by = Multipliers(mantissas, np.full_like(mantissas, -bits), np.ones(1, np.float32))
        accumulators, results = (values.ravel() for values in around_ties(q))
        for rule in (RULES["tflm"], RULES["ruy"], RULES["single"], hifi, symmetric):
            assert (rule(accumulators, by) == results).all(), q


def test_what_is_admissible():
    assert all(q % 2 for q in ADMISSIBLE_Q)
    assert (ADMISSIBLE_Q[0], ADMISSIBLE_Q[-1]) == (1, LARGEST_Q)
    refused = sorted(set(range(1, 1024, 2)) - set(ADMISSIBLE_Q))
    assert refused == [253, 255, *range(497, 512, 2), *range(965, 1024, 2)]


# --- grid_scale ----------------------------------------------------------------------------------


def fits(input_scale, weight_scale, output_scale, q):
    """Whether the Q0.31 multiplier, rounded from the exact rational, does not exceed 1/(2q)."""
    real = Fraction(input_scale) * Fraction(float(weight_scale)) / Fraction(output_scale)
    exponent = 0
    while real * Fraction(2) ** -exponent >= 1:
        exponent += 1
    while real * Fraction(2) ** -exponent < Fraction(1, 2):
        exponent -= 1
    mantissa = (real * Fraction(2) ** (31 - exponent) + Fraction(1, 2)).__floor__()
    return mantissa * Fraction(2) ** (exponent - 31) <= Fraction(1, 2 * q)


@settings(max_examples=60, deadline=None)
@given(q=Q, input_scale=SCALES | st.floats(2.0**-60, 2.0**60, width=32), output_scale=SCALES)
def test_grid_scale_is_the_largest_that_fits(q, input_scale, output_scale):
    scale = grid_scale(input_scale, output_scale, q)
    assert scale.dtype == np.float32
    assert fits(input_scale, scale, output_scale, q)
    assert not fits(input_scale, np.nextafter(scale, np.float32(np.inf)), output_scale, q)


@settings(max_examples=40, deadline=None)
@given(index=st.integers(0, len(ADMISSIBLE_Q) - 2), input_scale=SCALES, output_scale=SCALES)
def test_grid_scale_falls_as_q_grows(index, input_scale, output_scale):
    small, large = ADMISSIBLE_Q[index], ADMISSIBLE_Q[index + 1]
    assert grid_scale(input_scale, output_scale, large) < grid_scale(input_scale, output_scale, small)


@pytest.mark.parametrize(
    ("input_scale", "output_scale"), [(1.0, 1e-38), (2.0**100, 2.0**-100), (1e-30, 1e30), (1.0, 3.4e41)]
)
def test_grid_scale_refuses_what_float32_cannot_hold(input_scale, output_scale):
    with pytest.raises(BadInputError, match="no float32 weight scale"):
        grid_scale(input_scale, output_scale, 963)


@settings(max_examples=40, deadline=None)
@given(q=st.lists(Q, min_size=1, max_size=4), input_scale=SCALES, output_scale=SCALES)
def test_channel_q_gives_q_back(q, input_scale, output_scale):
    scales = np.array([grid_scale(input_scale, output_scale, value) for value in q])
    layer = one_channel(1, input_scale, output_scale, weight_scales=scales, bias=np.zeros(len(q), np.int32))
    assert channel_q(layer).tolist() == q


@pytest.mark.parametrize("direction", [-np.inf, np.inf])
@settings(max_examples=40, deadline=None)
@given(q=Q, input_scale=SCALES, output_scale=SCALES)
def test_channel_q_refuses_the_next_float(direction, q, input_scale, output_scale):
    scale = np.nextafter(grid_scale(input_scale, output_scale, q), np.float32(direction))
    layer = one_channel(1, input_scale, output_scale, weight_scales=np.array([scale], np.float32))
    assert channel_q(layer).tolist() == [0]


# --- largest_q and to_grid -----------------------------------------------------------------------


def test_largest_q_is_the_largest_that_fits():
    random = np.random.default_rng(1)
    for _ in range(40):
        input_scale, output_scale = (float(np.float32(10 ** random.uniform(-3, 0))) for _ in range(2))
        index = int(random.integers(len(ADMISSIBLE_Q) - 1))
        q, above = ADMISSIBLE_Q[index], ADMISSIBLE_Q[index + 1]
        boundary = 127 * float(grid_scale(input_scale, output_scale, q))
        assert largest_q(np.nextafter(boundary, 0), input_scale, output_scale) == q
        assert largest_q(boundary, input_scale, output_scale) < q
        assert boundary > 127 * float(grid_scale(input_scale, output_scale, above))


def test_largest_q_at_its_ends():
    assert largest_q(0.0, 0.1, 0.1) == LARGEST_Q
    assert largest_q(5e-324, 0.1, 0.1) == LARGEST_Q
    assert largest_q(1e30, 0.1, 0.1) == 0
    assert largest_q(127 * float(grid_scale(0.1, 0.1, 1)), 0.1, 0.1) == 0


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), spread=st.floats(1e-5, 10), input_scale=SCALES, output_scale=SCALES)
def test_to_grid_is_even_and_never_clips(seed, spread, input_scale, output_scale):
    random = np.random.default_rng(seed)
    weights, bias = random.normal(0, spread, (3, 2, 4)), random.normal(0, spread, 3)
    weights[1] = 0
    if largest_q(float(np.abs(weights).max()), input_scale, output_scale) == 0:
        with pytest.raises(BadInputError, match="does not fit the tie-free grid"):
            to_grid(weights, bias, input_scale, output_scale)
        output_scale = float(np.float32(1.01 * smallest_output_scale(float(np.abs(weights).max()), input_scale)))
    channels = to_grid(weights, bias, input_scale, output_scale)
    assert channels.weights.shape == weights.shape
    assert not (channels.weights % 2).any()
    assert not (channels.bias % 2).any()
    assert np.abs(channels.weights.astype(int)).max() <= 126
    assert set(channels.q.tolist()) <= set(ADMISSIBLE_Q)
    steps = channels.weight_scales.astype(np.float64)
    errors = channels.weights * steps[:, None, None] - weights
    assert (np.abs(errors) <= steps[:, None, None] * (1 + 1e-9)).all()  # half of a step of 2
    bias_steps = input_scale * steps
    assert (np.abs(channels.bias * bias_steps - bias) <= bias_steps * (1 + 1e-9) + 1e-12 * np.abs(bias)).all()


def test_to_grid_refuses_a_q_that_would_clip():
    weights = np.array([[0.5, -1.0]])
    fitting = largest_q(1.0, 0.1, 1.0)
    wider = ADMISSIBLE_Q[bisect_left(ADMISSIBLE_Q, fitting) + 1]
    assert to_grid(weights, np.zeros(1), 0.1, 1.0, np.array([fitting])).weights.min() < -100
    with pytest.raises(BadInputError, match=r"channel 0: a weight would be clipped"):
        to_grid(weights, np.zeros(1), 0.1, 1.0, np.array([wider]))


def test_to_grid_refuses_a_bias_beyond_int32():
    with pytest.raises(BadInputError, match=r"channel 1: its bias"):
        to_grid(np.ones((2, 1)), np.array([0.0, 1e9]), 0.1, 1.0)


# --- what is not tie-free ------------------------------------------------------------------------


def changed(model, index, **changes):
    layers = list(model.layers)
    layers[index] = replace(layers[index], **changes)
    return QuantizedModel(tuple(layers))


@pytest.mark.parametrize("make", [sample_models.lenet5, sample_models.lenet5_sigmoid, sample_models.every_layer])
def test_sample_models(make):
    assert tie_free_problem(make()) is None
    assert is_tie_free(make(3))
    assert not is_tie_free(make(grid="ordinary"))


def test_one_odd_value_is_found():
    model = sample_models.every_layer()
    layer = model.layers[0]
    for field in ("weights", "bias"):
        for increment in (-1, 1):
            values = getattr(layer, field).copy()
            values.flat[-1] += increment
            assert "odd" in tie_free_problem(changed(model, 0, **{field: values}))


def test_weight_of_minus_128_is_found():
    model = sample_models.every_layer()
    weights = model.layers[0].weights.copy()
    weights.flat[0] = -128
    assert "-128" in tie_free_problem(changed(model, 0, weights=weights))


@pytest.mark.parametrize("q", [2, 4, 255, 511, 1021, 1023])
def test_a_q_that_is_not_admissible_is_found(q):
    model = sample_models.every_layer()
    layer = model.layers[0]
    scales = layer.weight_scales.copy()
    scales[1] = grid_scale(layer.input.scale, layer.output.scale, q)
    assert tie_free_problem(changed(model, 0, weight_scales=scales)).startswith("layer conv: channel 1:")


def test_accumulators_beyond_float32_are_found():
    model = sample_models.every_layer()
    bias = model.layers[0].bias.copy()
    bias[2] = 2**24
    assert "float32 is exact below" in tie_free_problem(changed(model, 0, bias=bias))


def test_average_pooling_and_softmax_are_not_tie_free():
    assert "AveragePool2d" in tie_free_problem(QuantizedModel(sample_models.average_pool_softmax().layers[1:]))
    assert "Softmax" in tie_free_problem(QuantizedModel(sample_models.average_pool_softmax().layers[-1:]))


def test_scales_whose_float32_product_is_subnormal_are_found():
    """There the float32 multiplier has lost its bits, though the Q0.31 one is exact."""
    scale = float(np.float32(1e-37))
    layer = one_channel(951, scale, scale)
    assert multipliers(layer).mantissa[0] >= 2**30
    assert "too far from 1/(2q)" in tie_free_problem(QuantizedModel((layer,)))


def test_extreme_scales_are_a_problem_and_not_an_error():
    layer = one_channel(1, 1.0, 1.0, input=QTensor((1,), 1.0, 0), output=QTensor((1,), float(np.float32(1e-38)), 0))
    tiny = np.array([np.float32(1e-38) / np.float32(2 * 951)], np.float32)
    assert not is_tie_free(QuantizedModel((replace(layer, weight_scales=tiny),)))


@pytest.mark.parametrize("q", [127, 963])
def test_one_scale_for_a_fully_connected_is_measured_against_the_margin(q):
    """LiteRT's built-in kernels multiply its scales in float32, which can use up the margin of these q."""
    random = np.random.default_rng(0)
    accumulators, results = around_ties(q)
    found = 0
    for _ in range(150):
        input_scale, output_scale = (float(np.float32(random.uniform(0.001, 1))) for _ in range(2))
        layer = one_channel(q, input_scale, output_scale)
        right = (RULES["ruy"](accumulators, multipliers(layer, "ruy")) == results).all()
        found += not right
        if is_tie_free(QuantizedModel((layer,))):
            assert right, (input_scale, output_scale)
    assert found
