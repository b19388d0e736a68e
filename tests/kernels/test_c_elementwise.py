"""le_add.c and le_multiply.c against the reference: every pair of operands, with and without products of 64 bits."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest
from c_programs import INCLUDES, KERNELS, STRICT_C, needs, run

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source.families import tensors
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.quantized.elementwise import elementwise
from lenet_edge.quantized.model import Add, Multiply, QTensor, QuantizedModel, Subtract
from lenet_edge.quantized.verify import verify

ALL = np.arange(-128, 128, dtype=np.int8)
WAYS = {"products of 64 bits": (), "products of 32 bits": ("-DLE_SHORT_PRODUCTS",)}
COUNT = 48


def layer_of(kind, random):
    """With operands 256 x 256, or one of them a column; scales equal, close, or as far apart as `verify` takes them."""
    ratio = [1.0, 2.0 ** random.uniform(-2, 2), 2.0 ** random.uniform(-30, 30)][random.integers(3)]
    shapes = [(256, 256), (256, 256)]
    if random.random() < 0.3:
        shapes[random.integers(2)] = (256, 1)
    zeros = [int(random.choice([-128, 0, 127, random.integers(-128, 128)])) for _ in range(3)]
    scales = [np.float32(0.01), np.float32(0.01 * ratio)]
    far = [max(127 - zero, zero + 128) * float(scale) for zero, scale in zip(zeros, scales, strict=False)]
    largest = math.prod(far) if kind is Multiply else sum(far)
    room = [1.0, 2.0 ** random.uniform(0, 12), 2.0 ** random.uniform(6, 9), 2.0**26][random.integers(4)]
    output = float(np.float32(largest / (2**15 - 1 - abs(zeros[2])) * (1 + 2.0**-20) * room))
    inputs = [QTensor(shape, float(scale), zero) for shape, scale, zero in zip(shapes, scales, zeros, strict=False)]
    clamp = (-128, 127) if random.random() < 0.7 else (zeros[2], 127)
    return kind("layer", tuple(inputs), QTensor((256, 256), output, zeros[2]), *clamp)


def nearly_nothing(shift):
    """A product whose multiplier is shifted so far to the right that every result is the zero point."""
    tensor = QTensor((256, 256), float(np.float32(0.01)), -128)
    return Multiply("layer", (tensor, tensor), QTensor((256, 256), float(np.float32(1.5e-4 * 2.0**shift)), 3))


def layers():
    random, found = np.random.default_rng(11), [nearly_nothing(shift) for shift in (29, 30, 31)]
    while len(found) < COUNT:
        layer = layer_of([Add, Subtract, Multiply][len(found) % 3], random)
        try:
            verify(QuantizedModel((layer,), {}, ((-1, -2),)))
        except BadInputError:
            continue
        found.append(layer)
    return found


@pytest.fixture(scope="module", params=WAYS)
def library(request, tmp_path_factory):
    folder, text = tmp_path_factory.mktemp("elementwise"), '#include "le_tensors.h"\n'
    for index, layer in enumerate(layers()):
        (step,) = fuse(QuantizedModel((layer,), {}, ((-1, -2),)))
        kernel = tensors.kernel(step, f"layer_{index}")
        function = f"void run_{index}(const int8_t *a, const int8_t *b, int8_t *output)"
        text += f"{kernel.definitions}{function};\n{function}\n{{\n{kernel.calls(('a', 'b'), 'output', '')[0]}\n}}\n"
    (folder / "all.c").write_text(text)
    sources = [KERNELS / "shared" / file for file in ("le_add.c", "le_multiply.c", "le_pairs.c")]
    flags = (*STRICT_C, "-O2", "-shared", "-fPIC", *WAYS[request.param], *INCLUDES)
    run("gcc", *flags, folder / "all.c", *sources, "-o", folder / "all.so")
    return ctypes.CDLL(str(folder / "all.so"))


@needs("gcc")
def test_every_pair_of_operands(library):
    for index, layer in enumerate(layers()):
        shapes = [tensor.shape for tensor in layer.inputs]
        columns = [np.repeat(ALL, 256).reshape(256, 256), np.tile(ALL, 256).reshape(256, 256)]
        a, b = (
            column if shape == (256, 256) else ALL[:, np.newaxis] for column, shape in zip(columns, shapes, strict=True)
        )
        output = np.zeros((256, 256), np.int8)
        operands = [np.ascontiguousarray(values) for values in (a, b)]
        getattr(library, f"run_{index}")(*(ctypes.c_void_p(values.ctypes.data) for values in (*operands, output)))
        expected = elementwise(layer, operands[0][np.newaxis], operands[1][np.newaxis], "tflm")[0]
        np.testing.assert_array_equal(output, expected, err_msg=str(layer))
