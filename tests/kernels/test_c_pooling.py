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


def model_of(kind, seed):
    random = np.random.default_rng(seed)
    shape = (int(random.integers(1, 24)), int(random.integers(1, 24)), int(random.integers(1, 12)))
    source = QTensor(shape, 0.0625, int(random.integers(-128, 128)))
    if kind is Mean:
        axes = [(0, 1), (0,), (1,), (2,), (1, 2)][seed // 3 % 5]
        kept = tuple(size for axis, size in enumerate(shape) if axis not in axes)
        target = QTensor(
            kept, float(np.float32(0.0625 * 2.0 ** random.uniform(-3, 1))), int(random.integers(-128, 128))
        )
        return verify(QuantizedModel((Mean("mean", source, target, axes),)))
    window = shape[:2] if random.random() < 0.3 else tuple(int(random.integers(1, size + 1)) for size in shape[:2])
    stride = (int(random.integers(1, 4)), int(random.integers(1, 4)))
    clamp = (-128, 127) if random.random() < 0.5 else (-100, 90)
    layer = kind("pool", source, source, window, stride, str(random.choice(["same", "valid"])), *clamp)
    target = replace(source, shape=expected_output_shape(layer))
    return verify(QuantizedModel((replace(layer, output=target),)))


def models():
    return [model_of(KINDS[seed % 3], seed) for seed in range(MODELS)]


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
            found = np.zeros(outputs.size, np.int8)
            getattr(library, f"run_{index}")(ctypes.c_void_p(image.ctypes.data), ctypes.c_void_p(found.ctypes.data))
            np.testing.assert_array_equal(found, outputs, err_msg=str(model.layers[0]))
