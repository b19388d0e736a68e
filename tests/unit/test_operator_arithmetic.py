"""Sums, products, means and rescaling tables of the reference against Python's integers, and where `verify` stops."""

import exact_operators as exact
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet_edge.errors import BadInputError
from lenet_edge.quantized import rescale
from lenet_edge.quantized.model import Add, Mean, Multiply, QTensor, QuantizedModel, Rescale, Subtract
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.verify import verify

SCALES = st.floats(0.0009765625, 2, width=32)
ZERO_POINTS = st.sampled_from([-128, 0, 127]) | st.integers(-128, 127)
SCALINGS = st.tuples(SCALES, ZERO_POINTS)
CLAMPS = st.just((-128, 127)) | st.tuples(st.integers(-128, 0), st.integers(0, 127))
INTEGERS = st.sampled_from([-128, 127]) | st.integers(-128, 127)
PAIRS = st.lists(st.tuples(INTEGERS, INTEGERS), min_size=1, max_size=20)
EXACT = {
    Add: exact.of_sum,
    Subtract: lambda *arguments: exact.of_sum(*arguments, minus=True),
    Multiply: exact.of_product,
}


def ran(layer, *values):
    """The outputs of one layer that reads the model's inputs, for one image, as a list."""
    model = QuantizedModel((layer,), {}, (tuple(-1 - index for index in range(len(values))),))
    image = np.concatenate([np.asarray(value, np.int8).ravel() for value in values])
    shape = (1, *model.input.shape)
    return run(verify(model), image.reshape(shape))[0].tolist()


@pytest.mark.parametrize("kind", EXACT)
@given(first=SCALINGS, second=SCALINGS, ratio=st.floats(2, 64, width=32), clamp=CLAMPS, pairs=PAIRS, zero=ZERO_POINTS)
@settings(max_examples=60, deadline=None)
def test_two_operands(kind, first, second, ratio, clamp, pairs, zero):
    widest = first[0] * second[0] if kind is Multiply else max(first[0], second[0]) / 16
    output = float(np.float32(widest * ratio)), zero
    tensors = [QTensor((len(pairs),), *scaling) for scaling in (first, second, output)]
    layer = kind("layer", (tensors[0], tensors[1]), tensors[2], *clamp)
    expected = [EXACT[kind](a, b, first, second, output, clamp) for a, b in pairs]
    assert ran(layer, *zip(*pairs, strict=True)) == expected


@pytest.mark.parametrize("kind", [Add, Subtract])
@given(
    output=SCALINGS,
    first=st.integers(1, 12),
    second=st.integers(1, 12),
    parts=st.integers(3, 13),
    zeros=st.tuples(ZERO_POINTS, ZERO_POINTS),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=150, deadline=None)
def test_sums_next_to_ties(kind, output, first, second, parts, zeros, seed):
    """Real results are whole numbers of halves of parts of a step: there it shows in what precision quotients are."""
    scales = [float(np.float32(output[0] * count / (2 * parts))) for count in (first, second)]
    scalings = [*zip(scales, zeros, strict=True), output]
    pairs = np.random.default_rng(seed).integers(-128, 128, (20, 2)).tolist()
    tensors = [QTensor((len(pairs),), *scaling) for scaling in scalings]
    expected = [EXACT[kind](a, b, *scalings, (-128, 127)) for a, b in pairs]
    assert ran(kind("layer", (tensors[0], tensors[1]), tensors[2]), *zip(*pairs, strict=True)) == expected


def test_a_sum_by_hand():
    """Scales 1/2, 1/4 and 1/8: 4 a + 2 b."""
    tensors = QTensor((3,), 0.5, 1), QTensor((3,), 0.25, -2), QTensor((3,), 0.125, 10)
    assert ran(Add("sum", tensors[:2], tensors[2]), [1, 4, 100], [-2, 0, 0]) == [10, 26, 127]
    assert ran(Subtract("difference", tensors[:2], tensors[2]), [1, 4, 100], [-2, 0, 0]) == [10, 18, 127]


@pytest.mark.parametrize(
    ("shapes", "expected"), [(((2, 2), (2,)), [11, 22, 13, 24]), (((2, 1), (2,)), [11, 21, 12, 22])]
)
def test_operands_broadcast_at_the_last_axis_and_not_at_the_batch(shapes, expected):
    left, right = (QTensor(shape, 1.0, 0) for shape in shapes)
    layer = Add("sum", (left, right), QTensor((2, 2), 1.0, 0))
    values = np.arange(1, 1 + np.prod(shapes[0]))
    assert ran(layer, values, [10, 20]) == expected
    model = QuantizedModel((layer,), {}, ((-1, -2),))
    images = np.array([[*values, 10, 20], [*values, 30, 40]], np.int8)
    assert run(model, images)[1].tolist() == [value + 20 for value in expected]


@given(source=SCALINGS, ratio=st.floats(0.25, 4, width=32), zero_point=ZERO_POINTS, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_means_along_any_axes(source, ratio, zero_point, seed):
    random = np.random.default_rng(seed)
    shape = tuple(int(size) for size in random.integers(1, 7, 3))
    axes = tuple(sorted(random.choice(3, int(random.integers(1, 3)), replace=False).tolist()))
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    output = float(np.float32(source[0] * ratio)), zero_point
    layer = Mean("mean", QTensor(shape, *source), QTensor(kept, *output), axes)
    image = random.choice([-128, 127], shape) if seed % 4 == 0 else random.integers(-128, 128, shape)
    expected = [
        exact.of_mean([int(image[at]) for at in np.ndindex(shape) if _same(at, place, axes)], source, output)
        for place in np.ndindex(kept)
    ]
    assert ran(layer, image) == expected


def _same(at, place, axes):
    return all(axis in axes or at[axis] == place[axis] for axis in range(len(at)))


@pytest.mark.parametrize("operator", rescale.OPERATORS)
@given(source=SCALINGS, output=SCALINGS, slope=st.floats(-2, 2, width=32))
@settings(max_examples=20, deadline=None)
def test_tables(operator, source, output, slope):
    if operator == "RELU6":
        output = source
    slope = slope if operator == "LEAKY_RELU" else 1.0
    table = rescale.table(operator, QTensor((1,), *source), QTensor((1,), *output), slope)
    assert table.tolist() == [exact.of_rescale(value, operator, source, output, slope) for value in range(-128, 128)]


@given(
    output=SCALINGS, zero_point=ZERO_POINTS, count=st.integers(1, 8), parts=st.integers(3, 11), slope=st.integers(-9, 9)
)
@settings(max_examples=60, deadline=None)
def test_leaky_relus_next_to_ties(output, zero_point, count, parts, slope):
    source = float(np.float32(output[0] * count / (2 * parts))), zero_point
    alpha = slope / 8
    table = rescale.table("LEAKY_RELU", QTensor((1,), *source), QTensor((1,), *output), alpha)
    expected = [exact.of_rescale(value, "LEAKY_RELU", source, output, alpha) for value in range(-128, 128)]
    assert table.tolist() == expected


def test_a_leaky_relu_by_hand():
    table = rescale.table("LEAKY_RELU", QTensor((1,), 0.5, 0), QTensor((1,), 0.25, -8), 0.25)
    assert table[128 + np.array([-100, -4, -1, 0, 1, 10])].tolist() == [
        -58,
        -10,
        -8,
        -8,
        -6,
        12,
    ]  # -1 is half a step: up


def rescaling(operator="QUANTIZE", source=(0.5, 0), output=(0.25, 0), **fields):
    tensors = QTensor((4,), *source), QTensor((4,), *output)
    table = rescale.table(operator, *tensors) if operator in rescale.OPERATORS else np.zeros(256, np.int8)
    return Rescale("layer", *tensors, operator, **{"table": table, **fields})


def pair(kind, first, second, output):
    return kind("layer", (QTensor((4,), first, 0), QTensor((4,), second, 0)), QTensor((4,), output, 0))


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (pair(Add, 1.0, 1.0, 2.0**-19), "16 bits"),
        (pair(Subtract, 2.0**-20, 1.0, 2.0**-19), "16 bits"),
        (pair(Multiply, 1024.0, 64.0, 1.0), "16 bits"),
        (pair(Multiply, 2.0, 1.0, 1.0), "16 bits"),
        (rescaling("RELU_N1_TO_1"), "RELU_N1_TO_1"),
        (rescaling("RELU6"), "differ in scale"),
        (rescaling(slope=float("nan"), operator="LEAKY_RELU"), "slope is nan"),
        (rescaling(table=np.zeros(256, np.int8)), "not that of QUANTIZE"),
        (rescaling(source=(2.0**18, 0), output=(2.0**-7, 0)), "overflow int32"),
        (Mean("layer", QTensor((2, 2, 2), 1.0, 0), QTensor((1, 1, 1), 1.0, 0), (0, 1, 2)), "3 axes"),
        (Mean("layer", QTensor((2, 2), 2.0**19, 0), QTensor((1, 2), 2.0**-5, 0), (0,)), "overflow int32"),
        (Mean("layer", QTensor((2**24, 1), 1.0, 127), QTensor((1, 1), 1.0, 0), (0,)), "which int32 cannot hold"),
    ],
)
def test_what_would_end_or_overflow_a_runtime_is_refused(layer, reason):
    reads = ((-1, -2),) if isinstance(layer, (Add, Subtract, Multiply)) else ((-1,),)
    with pytest.raises(BadInputError, match=f"layer layer .*{reason}"):
        verify(QuantizedModel((layer,), {}, reads))


@pytest.mark.parametrize("layer", [pair(Add, 120.0, 128.0, 1.0), pair(Multiply, 1.0, 1.5, 1.0), rescaling()])
def test_what_is_just_small_enough_is_taken(layer):
    layers = (layer,)
    verify(QuantizedModel(layers, {}, ((-1, -2),) if len(getattr(layer, "inputs", ())) == 2 else ((-1,),)))
