"""Rounding in float32, which the C does in integers, against numpy's own float32."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest
from c_programs import FLOAT32, INCLUDES, KERNELS, STRICT_C, needs, run
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source.families import plain
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.formats.c_source.tables import float32_factor
from lenet_edge.quantized.elementwise import elementwise
from lenet_edge.quantized.mean import mean
from lenet_edge.quantized.model import Add, AveragePool2d, Mean, Multiply, QTensor, QuantizedModel, Subtract
from lenet_edge.quantized.reference import run as reference
from lenet_edge.quantized.verify import verify

pytestmark = needs("gcc")
FLAGS = [*STRICT_C, "-O2", "-shared", "-fPIC", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error", *INCLUDES]
ALL = np.arange(-128, 128, dtype=np.int8)
MANY = """
#include "le_kernels.h"
void many(uint32_t multiplier, int8_t shift, int8_t zero_point, int8_t low, int8_t high, const int32_t *sums,
          int8_t *results, size_t count);
void many(uint32_t multiplier, int8_t shift, int8_t zero_point, int8_t low, int8_t high, const int32_t *sums,
          int8_t *results, size_t count)
{
    const int32_t bias = 0;
    const le_requantization to = {&bias, &multiplier, &shift, zero_point, low, high};
    for (size_t i = 0; i < count; i++) {
        results[i] = le_requantize_s8(&to, 0, sums[i]);
    }
}
"""


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


@pytest.fixture(scope="module")
def requantize(tmp_path_factory):
    """``requantize(float32, zero point, clamp, int32 accumulators)`` -> int8 results of le_requantize_float32.c."""
    folder = tmp_path_factory.mktemp("float32")
    (folder / "many.c").write_text(MANY)
    run("gcc", *FLAGS, folder / "many.c", KERNELS / "plain" / FLOAT32, "-o", folder / "many.so")
    many = ctypes.CDLL(str(folder / "many.so")).many
    byte = ctypes.c_int8
    many.argtypes = [ctypes.c_uint32, *[byte] * 4, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]

    def call(by, zero_point, clamp, sums):
        held, results = np.ascontiguousarray(sums, np.int32), np.zeros(len(sums), np.int8)
        many(*float32_factor(float(by)), zero_point, *clamp, pointer(held), pointer(results), len(held))
        return results

    return call


def in_numpy(by, zero_point, clamp, sums):
    """The definition: float32 of the sum, times float32, half to even; clipped before it is an integer."""
    with np.errstate(all="ignore"):
        steps = np.rint(np.asarray(sums, np.int32).astype(np.float32) * by)
    return np.clip(np.clip(steps, -1e6, 1e6).astype(np.int64) + zero_point, *clamp).astype(np.int8)


def float32_of(bits):
    return np.array(bits, np.uint32).view(np.float32)[()]


MULTIPLIERS = st.one_of(  # those of layers, and any float32 down to the smallest
    st.builds(lambda mantissa, exponent: float32_of((127 + exponent) << 23 | mantissa), MANTISSAS, EXPONENTS)
    for MANTISSAS, EXPONENTS in (
        (st.sampled_from([0, 1, 2**22, 2**23 - 1]) | st.integers(0, 2**23 - 1), st.integers(-22, 1)),
        (st.integers(0, 2**23 - 1), st.integers(-127, 120)),
    )
)
INT32 = st.integers(-(2**31), 2**31 - 1)


@settings(max_examples=400)
@given(by=MULTIPLIERS, zero=st.integers(-128, 127), seed=st.integers(0, 2**32 - 1), more=st.lists(INT32, max_size=8))
def test_requantisation(requantize, by, zero, seed, more):
    """Next to ties, at whose sides 24 bits decide, and of every size: beyond 2^24 the sum itself is rounded."""
    random = np.random.default_rng(seed)
    ties = (random.integers(-300, 300, 60) + 0.5) / np.float64(by) if by else np.zeros(1)
    near = np.rint(np.clip(ties, -(2.0**31), 2.0**31 - 1))[:, np.newaxis] + np.arange(-3, 4)
    sizes = 2.0 ** random.uniform(0, 31, 60)
    edges = [0, 1, 2**24, 2**24 + 1, 2**24 + 3, 2**25 + 2, 2**25 + 6, 2**31 - 1, -(2**31), -(2**24) - 1]
    sums = np.clip(np.concatenate([near.ravel(), sizes, -sizes, edges, more]), -(2.0**31), 2**31 - 1).astype(np.int64)
    low, high = sorted(random.integers(-128, 128, 2))
    for clamp in ((-128, 127), (int(low), int(high))):
        np.testing.assert_array_equal(requantize(by, zero, clamp, sums), in_numpy(by, zero, clamp, sums))


def test_it_is_none_of_the_other_roundings(requantize):
    """Half to even, and the rounding of sums beyond 2^24, make a difference."""
    assert requantize(np.float32(0.5), 0, (-128, 127), [1, 3, 5, -1, -3]).tolist() == [0, 2, 2, 0, -2]
    by = np.float32(2.0**-18)
    sum_ = 2**24 * 2 - 2**17 + 1  # one more than 127.5 steps: float32 drops the one, and the tie goes to 128
    assert in_numpy(by, -10, (-128, 127), [sum_]).tolist() == requantize(by, -10, (-128, 127), [sum_]).tolist() == [118]


# --- operators without weights ---------------------------------------------------------------------


def pairs():
    """Sums, differences and products of random scales, some far apart, some where each operand is broadcast."""
    random, found = np.random.default_rng(5), []
    rules = ((Add, "onnxruntime"), (Add, "float"), (Subtract, "float"), (Multiply, "onnxruntime"))
    while len(found) < 48:
        kind, rule = rules[len(found) % 4]
        spread = [0.0, 2.0, 12.0][random.integers(3)]
        scales = (0.05 * 2.0 ** random.uniform(-spread, spread, 3)).astype(np.float32)
        scales[2] *= scales[0] / np.float32(0.05) if kind is Multiply else 1
        zeros = [int(random.choice([-128, 0, 127, random.integers(-128, 128)])) for _ in range(3)]
        shapes = [(256, 256), (256, 1)] if random.random() < 0.3 else [(256, 256), (256, 256)]
        if random.random() < 0.5:
            shapes.reverse()
        tensors = [
            QTensor(shape, float(scale), zero)
            for shape, scale, zero in zip([*shapes, (256, 256)], scales, zeros, strict=True)
        ]
        layer = kind("layer", tuple(tensors[:2]), tensors[2], *((-128, 127) if random.random() < 0.7 else (-50, 60)))
        try:
            verify(QuantizedModel((layer,), {}, ((-1, -2),)))
        except BadInputError:
            continue
        found.append((layer, rule))
    return found


def means():
    """Poolings with and without edges and over a whole map, and means, of which some have values in front of Eigen's
    registers."""
    random, found = np.random.default_rng(6), []
    for height, width, channels in ((5, 5, 4), (7, 7, 8), (3, 4, 3), (1, 3, 4), (6, 3, 2), (9, 8, 1), (2, 1, 4)):
        scales = (0.03 * 2.0 ** random.uniform(-3, 3, 2)).astype(np.float32)
        zeros = [int(zero) for zero in random.integers(-128, 128, 2)]
        source = QTensor((height, width, channels), float(scales[0]), zeros[0])
        target = QTensor((channels,), float(scales[1]), zeros[1])
        found += [(Mean("mean", source, target, (0, 1)), rule) for rule in ("onnxruntime", "onnxruntime-global")]
        for window, padding in (((2, 2), "valid"), ((3, 3), "same"), ((height, width), "valid")):
            if window[0] <= height and window[1] <= width:
                outputs = (height, width)
                if padding == "valid":
                    outputs = (height - window[0] + 1, width - window[1] + 1)
                pooled = QTensor((*outputs, channels), source.scale, source.zero_point)
                layer = AveragePool2d("pool", source, pooled, window, (1, 1), padding, -100, 127)
                found.append((layer, "onnxruntime"))
    return found


def compiled(layers, folder):
    """A library with a function ``run_N(a, b, output)`` for each layer and rule."""
    texts, files, headers = [], set(), {"le_kernels.h"}
    for index, (layer, rule) in enumerate(layers):
        reads = ((-1, -2),) if isinstance(layer, (Add, Subtract, Multiply)) else ((-1,),)
        (step,) = fuse(QuantizedModel((layer,), {}, reads, (), (rule,)))
        kernel = plain.kernel(step, f"layer_{index}", divisible=False)
        files |= set(kernel.sources)
        headers |= set(kernel.headers)
        function = f"void run_{index}(const int8_t *a, const int8_t *b, int8_t *output)"
        call = kernel.calls(("a", "b"), "output", "")[0]
        texts.append(f"{kernel.definitions}{function};\n{function}\n{{\n    (void)b;\n    {call}\n}}\n")
    (folder / "all.c").write_text("".join(f'#include "{header}"\n' for header in sorted(headers)) + "".join(texts))
    run(
        "gcc",
        *FLAGS,
        folder / "all.c",
        *(KERNELS / file for file in files if file.endswith(".c")),
        "-o",
        folder / "all.so",
    )
    return ctypes.CDLL(str(folder / "all.so"))


def test_every_pair_of_operands(tmp_path):
    layers = pairs()
    library = compiled(layers, tmp_path)
    for index, (layer, rule) in enumerate(layers):
        columns = [np.repeat(ALL, 256).reshape(256, 256), np.tile(ALL, 256).reshape(256, 256)]
        operands = [
            np.ascontiguousarray(column if tensor.shape == (256, 256) else ALL[:, np.newaxis])
            for column, tensor in zip(columns, layer.inputs, strict=True)
        ]
        output = np.zeros((256, 256), np.int8)
        getattr(library, f"run_{index}")(*map(pointer, (*operands, output)))
        expected = elementwise(layer, operands[0][np.newaxis], operands[1][np.newaxis], rule)[0]
        np.testing.assert_array_equal(output, expected, err_msg=f"{layer} {rule}")


def test_means(tmp_path):
    layers = means()
    layers = [(layer, rule) for layer, rule in layers if rule != "onnxruntime" or not is_odd(layer)]
    library, random = compiled(layers, tmp_path), np.random.default_rng(7)
    for index, (layer, rule) in enumerate(layers):
        images = random.integers(-128, 128, (40, *layer.input.shape)).astype(np.int8)
        images[20:] = np.clip(images[20:] // 40 + layer.input.zero_point, -128, 127)  # small sums: many ties
        if isinstance(layer, Mean):
            expected = np.concatenate([mean(layer, image[np.newaxis], rule) for image in images])
        else:
            expected = reference(QuantizedModel((layer,), {}, (), (), (rule,)), images)
        for image, right in zip(images, expected.reshape(len(images), -1), strict=True):
            output = np.zeros(math.prod(layer.output.shape), np.int8)
            getattr(library, f"run_{index}")(*map(pointer, (image, image, output)))
            np.testing.assert_array_equal(output, right, err_msg=f"{layer} {rule}")


def is_odd(layer):
    """Whether ONNX Runtime's sums depend on the place in the batch, so that the C has none."""
    return isinstance(layer, Mean) and math.prod(layer.input.shape) % 4 != 0


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Mean("m", QTensor((3, 3, 3), 0.1, 0), QTensor((3,), 0.1, 0), (0, 1)), "depend on the place of an image"),
        (Mean("m", QTensor((4, 3, 4), 0.1, 0), QTensor((4, 4), 0.1, 0), (1,)), r"along axes \[1\] of \[4, 3, 4\]"),
    ],
)
def test_what_no_c_can_be_like(layer, said):
    (step,) = fuse(QuantizedModel((layer,), {}, (), (), ("onnxruntime",)))
    with pytest.raises(BadInputError, match=f"layer m: .*{said}.*--like tflm"):
        plain.kernel(step, "x", divisible=False)
