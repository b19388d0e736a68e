"""Pooling by itself and means, in C against the reference: any window, stride, padding and number of channels."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest
from c_programs import INCLUDES, KERNELS, STRICT_C, needs, run

from lenet_edge.formats.c_source.families import plain
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import AveragePool2d, MaxPool2d, Mean, QTensor, QuantizedModel, expected_output_shape
from lenet_edge.quantized.verify import verify

KINDS = (AveragePool2d, MaxPool2d, Mean)
MODELS = 60
MEANS = 48


def model_of(kind, seed):
    random = np.random.default_rng(seed)
    shape = (int(random.integers(1, 24)), int(random.integers(1, 24)), int(random.integers(1, 12)))
    source = QTensor(shape, 0.0625, int(random.integers(-128, 128)))
    if kind is Mean:
        axes = [(0, 1), (0,), (1,), (2,), (1, 2)][seed // 3 % 5]
        return mean_of(shape, axes, random, 2.0 ** random.uniform(-3, 1))
    window = shape[:2] if random.random() < 0.3 else tuple(int(random.integers(1, size + 1)) for size in shape[:2])
    stride = (int(random.integers(1, 4)), int(random.integers(1, 4)))
    clamp = (-128, 127) if random.random() < 0.5 else (-100, 90)
    layer = kind("pool", source, source, window, stride, str(random.choice(["same", "valid"])), *clamp)
    target = replace(source, shape=expected_output_shape(layer))
    return verify(QuantizedModel((replace(layer, output=target),)))


def mean_of(shape, axes, random, ratio):
    zeros = [int(random.choice([-128, 127, 0, random.integers(-128, 128)])) for _ in range(2)]
    kept = tuple(size for axis, size in enumerate(shape) if axis not in axes) or (1,)
    target = QTensor(kept, float(np.float32(0.0625 * ratio)), zeros[1])
    return verify(QuantizedModel((Mean("mean", QTensor(shape, 0.0625, zeros[0]), target, axes),)))


def drawn_mean(seed):
    """Maps around 255 pixels, of one, of very many; rank 1 to 4; scales that are equal, or up to 2^12 apart."""
    random = np.random.default_rng(1000 + seed)
    ranks = [(1, 2, 3, 4), (3,)][seed % 2]
    largest = int(random.choice([3, 9, 18, 40]))
    shape = [int(random.integers(1, largest + 1)) for _ in range(int(random.choice(ranks)))]
    if seed % 3 == 0:
        shape = [
            *[(15, 17), (16, 16), (1, 1), (51, 5), (64, 60)][seed // 3 % 5],
            int(random.choice([1, 3, 4, 6, 8, 13])),
        ]
    count = int(random.integers(1, min(len(shape), 2) + 1))
    axes = tuple(sorted(int(axis) for axis in random.choice(len(shape), count, replace=False)))
    if seed % 3 == 0:
        axes = [(0, 1), (0, 1), (1,), (0, 2)][seed // 3 % 4]
    return mean_of(tuple(shape), axes, random, [1.0, 2.0 ** random.uniform(-12, 4)][seed // 2 % 2])


def models():
    return [*(model_of(KINDS[seed % 3], seed) for seed in range(MODELS)), *map(drawn_mean, range(MEANS))]


@pytest.fixture(scope="module", params=["small", "fast"])
def library(request, tmp_path_factory):
    folder, text, sources = tmp_path_factory.mktemp("pooling"), '#include "le_tensors.h"\n', set()
    for index, model in enumerate(models()):
        (step,) = fuse(model)
        kernel = plain.kernel(step, f"layer_{index}", divisible=False, small=request.param == "small")
        function = f"void run_{index}(const int8_t *input, int8_t *output)"
        call = kernel.calls(("input",), "output", "")[0]
        text += f"{kernel.definitions}{function};\n{function}\n{{\n{call}\n}}\n"
        sources |= {KERNELS / source for source in kernel.sources if source.endswith(".c")}
    (folder / "all.c").write_text(text)
    flags = (*STRICT_C, "-O2", "-shared", "-fPIC", *INCLUDES)
    run("gcc", *flags, folder / "all.c", *sorted(sources), "-o", folder / "all.so")
    return ctypes.CDLL(str(folder / "all.so"))


@needs("gcc")
def test_poolings_and_means(library):
    for index, model in enumerate(models()):
        random = np.random.default_rng(index)
        images = random.integers(-128, 128, (6, *model.input.shape)).astype(np.int8)
        images[1], images[2] = -128, 127
        images[3] = random.choice([-128, 127], images[3].shape)
        expected = reference.run(model, images)
        for image, outputs in zip(images, expected.reshape(len(images), -1), strict=True):
            found, shifted = np.zeros(outputs.size, np.int8), np.empty(image.size + 3, np.int8)
            for first in range(2):  # at any address
                shifted[first : first + image.size] = image.ravel()
                pointers = [ctypes.c_void_p(array.ctypes.data) for array in (shifted[first:], found)]
                getattr(library, f"run_{index}")(*pointers)
                np.testing.assert_array_equal(found, outputs, err_msg=str(model.layers[0]))
