"""Models whose exported C is tested, and how their programs are compiled and run."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sample_models
from random_chains import Chain, random_chain
from random_operators import KINDS, random_operator

from lenet_edge.formats.c_source import tables
from lenet_edge.quantized.lookup import OUTPUT_SCALING, reference_table
from lenet_edge.quantized.model import AveragePool2d, Lookup, QTensor, QuantizedModel
from lenet_edge.quantized.verify import verify

FIRMWARE = Path(__file__).parents[2] / "firmware"
KERNELS = FIRMWARE / "kernels"
PORTABLE = [KERNELS / folder for folder in ("shared", "plain", "packed", "lanes")]  # in C99, but for lanes' assembly
INCLUDES = [f"-I{folder}" for folder in PORTABLE]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Wshadow", "-Wcast-qual", "-Werror"]
STRICT_C = ["-std=c99", *WARNINGS, "-Wstrict-prototypes", "-Wmissing-prototypes"]
STRICT_CPP = ["-x", "c++", "-std=c++11", *WARNINGS]
SANITIZE = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SANITIZE_MODEL = ["-O0", "-fsanitize=address"]  # tables and calls: there is nothing in it to optimise
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}  # the leak check needs ptrace
DOUBLE, TIE_FREE, FLOAT32 = (f"le_requantize_{name}.c" for name in ("double", "tie_free", "float32"))


def run(*argv, **options):
    argv = [str(argument) for argument in argv]
    done = subprocess.run(argv, capture_output=True, timeout=120, env=ENVIRONMENT, **options)
    assert done.returncode == 0, f"exit status {done.returncode}: " + done.stderr.decode()[-3000:]
    return done.stdout


def refusal(*argv):
    """What a command says that must fail."""
    done = subprocess.run([str(argument) for argument in argv], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    return done.stderr


def needs(tool):
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is missing")


# --- the models -------------------------------------------------------------------------------------

IMAGE = (12, 10, 2)
CLASSES = ['"quote"', "back\\slash", "Käse ??/", "%s\n", "*/ e", "\x01" + "1", "", "h", "i", "9after"]


def _saturating(function, scale):
    """An input scale at which TFLM's radius is 1 or 0: its table is then far from the function."""
    source, target = QTensor(IMAGE, scale, 0), QTensor(IMAGE, *OUTPUT_SCALING[function])
    return verify(QuantizedModel((Lookup(function, source, target, function, reference_table(function, source)),)))


def _left_shifts():
    """Multipliers of 1 and more, up to just below 256, which LiteRT refuses; weights too small to overflow."""
    chain = Chain(3, (4, 4, 2)).flatten().fully_connected(8, clamp=(-128, 127))
    layer = chain.layers[-1]
    real = np.array([1, 1.5, 2, 3.7, 100, 255.9, 0.999999999, 0.5])
    scales = (real * layer.output.scale / layer.input.scale).astype(np.float32)
    chain.layers[-1] = replace(
        layer, weights=np.sign(layer.weights), bias=np.arange(-4, 4, dtype=np.int32), weight_scales=scales
    )
    return chain.build()


def _right_shifts():
    """Multipliers down to 2^-32, where the mantissa becomes 0, with accumulators that still give something."""
    chain = Chain(4, (1, 1, 4), zero_point=0).flatten().fully_connected(8, clamp=(-128, 127))
    layer = chain.layers[-1]
    real = 2.0 ** np.array([-20, -23, -24, -30, -31, -32, -33, -36])
    bias = np.array([2**30, -(2**30), 2**30, -(2**30), 2**30, -(2**30), 2**30, -5], np.int32)
    scales = (real * layer.output.scale / layer.input.scale).astype(np.float32)
    chain.layers[-1] = replace(layer, weights=np.full_like(layer.weights, 127), bias=bias, weight_scales=scales)
    return chain.build()


def _no_weights():
    """Channels of zeros, of which one has the largest multiplier that there is."""
    chain = Chain(5, (2, 2, 1)).flatten().fully_connected(2, clamp=(-128, 127))
    layer = chain.layers[-1]
    zeros = replace(layer, weights=layer.weights * 0, bias=layer.bias * 0)
    largest = 255.9 * layer.output.scale / layer.input.scale
    chain.layers[-1] = replace(zeros, weight_scales=np.array([1e-3, largest], np.float32))
    return chain.build()


def _connected(seed, **grid):
    """Convolutions of which channels see a few others, one of them none, one all: with padding, strides and pooling."""
    chain = Chain(seed, (11, 13, 2), **grid).conv(6, (3, 3), padding="same", clamp=(-128, 127))
    shapes = ((9, (5, 3), (1, 1), "same"), (7, (2, 4), (2, 1), "same"), (6, (3, 3), (1, 1), "valid"))
    for index, (channels, *window) in enumerate(shapes):
        chain.conv(channels, *window, clamp=(-128, 127))
        weights = chain.layers[-1].weights.copy()
        seen = np.random.default_rng(seed + index).random((channels, weights.shape[3])) < 0.4
        seen[0], seen[1] = False, True
        weights *= seen[:, None, None, :]
        chain.layers[-1] = replace(chain.layers[-1], weights=weights)
        if index == 0:
            chain.pool((2, 2))
    return chain.build()


def _softmax_of(shape):
    chain = Chain(6, shape)
    chain.current = QTensor(shape, 0.0625, 3)
    return chain.softmax().build()


def _between(seed, shape, window):
    """A layer with windows whose input and output both lie in the workspace."""
    return window(Chain(seed, shape).lookup()).scrambled().scrambled().build()


IN_TWO_PARTS = {
    "depthwise in two parts": _between(30, (9, 7, 8), lambda chain: chain.depthwise(1, (3, 3), (1, 1), "same")),
    "depthwise of stride 2 in two parts": _between(
        31, (17, 6, 4), lambda chain: chain.depthwise(3, (5, 3), (2, 2), "same")
    ),
    "convolution in two parts": _between(32, (11, 5, 6), lambda chain: chain.conv(6, (3, 5), (1, 1), "same")),
    "convolution and pool in two parts": _between(
        33, (24, 8, 3), lambda chain: chain.conv(9, (3, 3), (1, 1), "same").pool((2, 2))
    ),
    "uneven strides in two parts": _between(34, (20, 9, 5), lambda chain: chain.conv(7, (4, 2), (2, 3), "same")),
}
"""Layers whose scratch memory would enlarge the workspace; see families/two_parts.py."""

MODELS = {
    **IN_TWO_PARTS,
    **{
        f"{name}, {grid}": getattr(sample_models, name)(7, grid)
        for name in ("lenet5", "lenet5_sigmoid", "every_layer")
        for grid in ("tie-free", "ordinary")
    },
    "connected, tie-free": _connected(41, tie_free=True),
    "connected, ordinary": _connected(42),
    "average_pool_softmax": sample_models.average_pool_softmax(7),
    "flatten first": Chain(1, IMAGE).flatten().fully_connected(4).build(),
    "a vector": verify(QuantizedModel(tuple(Chain(0, (2, 2, 1)).flatten().fully_connected(2).layers[1:]))),
    "lookup only": Chain(2, (5, 4, 3)).scrambled().build(),
    "a sigmoid at scale 8": _saturating("sigmoid", 8.0),
    "a tanh at scale 4": _saturating("tanh", 4.0),
    "lookups": Chain(3, IMAGE).lookup().lookup("tanh").flatten().build(),
    "max pool only": Chain(4, IMAGE).pool((3, 2), (2, 3), "same").build(),
    "pools first": Chain(5, IMAGE).pool((2, 2)).pool((2, 3), (1, 2), "same", AveragePool2d).build(),
    "two pools": Chain(6, IMAGE).conv(3, (2, 2), padding="same").pool((2, 2)).pool((2, 2), (1, 1)).build(),
    "pool of 3 x 2": Chain(7, IMAGE).conv(3, (3, 3)).pool((3, 2)).flatten().build(),
    "pool of 2 x 2 with gaps": Chain(8, IMAGE).conv(3, (3, 3), padding="same").pool((2, 2), (4, 3)).build(),
    "depthwise pool": Chain(9, IMAGE).depthwise(3, (3, 2), (1, 2), "same").pool((2, 2)).build(),
    "stride > kernel": Chain(10, IMAGE).conv(3, (2, 1), (3, 4)).depthwise(1, (1, 1), (2, 2), "same").build(),
    "even kernel, same, stride 2": Chain(11, IMAGE).conv(2, (4, 2), (2, 2), "same").pool((2, 2)).build(),
    "kernel > image": Chain(12, (2, 3, 2)).conv(3, (5, 5), padding="same").build(),
    "one pixel": Chain(13, (1, 1, 1)).conv(1, (1, 1)).depthwise(4, (1, 1)).flatten().fully_connected(1).build(),
    "clamps": Chain(14, IMAGE).conv(9, (3, 3), clamp=(-20, 50)).pool((2, 2), clamp=(0, 30)).build(),
    "clamps apart": Chain(15, IMAGE).conv(9, (3, 3), clamp=(-20, 50)).pool((2, 2), clamp=(60, 90)).build(),
    "clamp behind table": Chain(16, IMAGE).conv(9, (3, 3)).lookup().pool((2, 2), clamp=(-60, -30)).build(),
    "clamp before table": Chain(17, IMAGE).conv(9, (3, 3), clamp=(-30, 9)).lookup("tanh").pool((2, 2)).build(),
    "no monotone table": Chain(18, IMAGE).conv(9, (3, 3)).scrambled().pool((2, 2)).build(),
    "softmax last, in place": Chain(19, IMAGE).flatten().fully_connected(7).softmax().build(),
    "softmax, then lookup": Chain(19, IMAGE).flatten().fully_connected(7).softmax().lookup().build(),
    "softmax of a plane": _softmax_of((3, 2, 5)),
    "softmax of one": _softmax_of((3, 1, 1)),
    "softmax of 511": _softmax_of((1, 1, 511)),
    "softmax of 4095": _softmax_of((1, 1, 4095)),
    "slices of a convolution": Chain(20, (5, 5, 40)).conv(70, (5, 5), multiplier=5e-5).flatten().build(),
    "slices of one channel": Chain(21, (5, 5, 1400)).conv(2, (5, 5), multiplier=5e-5).build(),
    "a table of more than 64 KB": Chain(22, (5, 5, 2700)).depthwise(1, (5, 5)).build(),
    "names": Chain(23, (3, 3, 1), tie_free=True)
    .conv(2, (2, 2), name="a")
    .depthwise(1, (1, 1), name="a_bias")
    .conv(2, (1, 1), name="a")
    .conv(2, (1, 1), name="1 */ \\ é\n")
    .conv(2, (1, 1), name="int")
    .conv(2, (1, 1), name="x" * 200)
    .conv(2, (1, 1), name="")
    .build(arch='*/ " \\ é $x'),
    "classes": Chain(24, IMAGE).flatten().fully_connected(10).build(classes=CLASSES),
    "left shifts": _left_shifts(),
    "right shifts": _right_shifts(),
    "no weights": _no_weights(),
    **{f"{kind} {seed}": random_operator(kind, seed) for kind in KINDS for seed in range(6)},
    **{
        f"random {seed}{', tie-free' if tie_free else ''}": random_chain(seed, tie_free=tie_free)
        for seed in range(8)
        for tie_free in (False, True)
        if any(True for layer in random_chain(seed, tie_free=tie_free).layers if type(layer).__name__ != "Flatten")
    },
}


def images_for(model):
    """Random images, and those that drive accumulators to their ends; int8 ``[n, h, w, c]``."""
    shape = model.input.shape
    random = np.random.default_rng(1)
    count = 6 if np.prod(shape) < 10_000 else 2
    drawn = random.integers(-128, 128, (count, *shape)).astype(np.int8)
    extreme = random.choice(np.array([-128, 127], np.int8), (count, *shape))
    flat = [np.full((1, *shape), value, np.int8) for value in (-128, 127, model.input.zero_point)]
    return np.concatenate([drawn, extreme, *flat])


def is_tie_free(name):
    return tables.is_divisible(MODELS[name])
