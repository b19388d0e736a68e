"""Packed weights in C: the same accumulators as of numpy and of the plain kernels, for every geometry and packing."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from dataclasses import dataclass

import numpy as np
import packed_models
import pytest
from c_programs import ENVIRONMENT, FIRMWARE, INCLUDES, KERNELS, SANITIZE, STRICT_C, run
from hypothesis import given, settings
from hypothesis import strategies as st
from packed_models import LARGEST, MIXED
from random_chains import Chain

from lenet_edge.cli.artefacts import Artefacts
from lenet_edge.engines import host_c
from lenet_edge.formats import c_source, tflite
from lenet_edge.formats.c_source.packing import PACKINGS, pack, unpack
from lenet_edge.quantized import reference
from lenet_edge.records import write_artefact

SOURCES = [
    *(KERNELS / "packed").glob("*.c"),
    *(KERNELS / "plain" / f"le_{name}.c" for name in ("conv2d", "depthwise_conv2d", "fully_connected", "windows")),
]


FULLY_CONNECTED, CONVOLUTION, DEPTHWISE = range(3)  # as packed_cases.c has them


class Program:
    """packed_cases.c, running."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT)

    def sums(self, case):
        """The accumulators of the packed and of the plain kernel, int32 ``[2, height, width, channels]``."""
        codes = pack(case.weights, case.packing)
        weights = case.weights
        if case.kind == DEPTHWISE:
            weights = np.ascontiguousarray(weights[..., 0].transpose(1, 2, 0))
        fields = np.array([case.kind, list(PACKINGS).index(case.packing), case.at_once, codes.shape[1]])
        sizes = np.concatenate([fields, *map(np.ravel, case.geometry())]).astype("<i4")
        self.process.stdin.write(b"".join(part.tobytes() for part in (sizes, weights, codes, case.inputs)))
        self.process.stdin.flush()
        wanted = 2 * math.prod(case.output) * 4
        found = self.process.stdout.read(wanted)
        assert len(found) == wanted, self.process.wait(10)
        return np.frombuffer(found, "<i4").reshape(2, *case.output)


@pytest.fixture(scope="module", params=["multiplies", "no multiplier"])
def program(request, tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing")
    path = tmp_path_factory.mktemp("packed") / "cases"
    defined = ["-DLE_NO_MULTIPLIER"] if request.param == "no multiplier" else []
    main = KERNELS.parents[1] / "tests" / "kernels" / "packed_cases.c"
    run("gcc", *STRICT_C, *SANITIZE, *defined, *INCLUDES, main, *SOURCES, "-o", path)
    running = Program(path)
    with running.process as process:
        yield running
        process.stdin.close()
        assert process.wait(10) == 0


# --- cases ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Case:
    """A layer with its inputs: int8 ``[height, width, channels]``; of a fully connected one height and width are 1."""

    packing: str
    kind: int
    at_once: int
    weights: np.ndarray  # [channels, window height, window width, inputs: 1 of a depthwise one]
    inputs: np.ndarray
    stride: tuple[int, int]
    pool: tuple[int, int]
    pool_stride: tuple[int, int]
    padding: tuple[int, int]
    padding_value: int
    output: tuple[int, int, int]

    def geometry(self):
        """The fields of le_windows."""
        step = np.multiply(self.stride, self.pool_stride)
        patch = (np.array(self.pool) - 1) * self.stride + self.weights.shape[1:3]
        pairs = (self.weights.shape[1:3], self.stride, self.pool, step, self.padding, patch)
        return self.inputs.shape, self.output, *pairs, self.padding_value

    def expected(self):
        """The largest sum of products of each pooling window, in numpy."""
        found = np.empty(self.output, np.int64)
        for at in np.ndindex(self.output[:2]):
            sums = [self._sums(np.multiply(at, self.pool_stride) + spot) for spot in np.ndindex(self.pool)]
            found[at] = np.max(sums, axis=0)
        return found

    def _sums(self, position):
        total = np.zeros(len(self.weights), np.int64)
        for tap in np.ndindex(self.weights.shape[1:3]):
            y, x = np.multiply(position, self.stride) + tap - self.padding
            inside = 0 <= y < self.inputs.shape[0] and 0 <= x < self.inputs.shape[1]
            pixel = self.inputs[y, x] if inside else np.full(self.inputs.shape[2], self.padding_value)
            kernel = self.weights[:, tap[0], tap[1]].astype(np.int64)
            if self.kind == DEPTHWISE:
                total += kernel[:, 0] * np.repeat(pixel, len(total) // len(pixel))
            else:
                total += kernel @ pixel.astype(np.int64)
        return total


def integers(draw, shape, low, high):
    """Random integers, all the same one, or only the two ends."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["any", "any", "ends", "low", "high", "zero"]))
    by_kind = {
        "any": lambda: random.integers(low, high + 1, shape),
        "ends": lambda: random.choice([low, high], shape),
        "low": lambda: np.full(shape, low),
        "high": lambda: np.full(shape, high),
        "zero": lambda: np.zeros(shape),
    }
    return by_kind[kind]()


def weights_of(draw, packing, shape):
    return (2 * integers(draw, shape, -LARGEST[packing], LARGEST[packing])).astype(np.int8)


@st.composite
def fully_connected(draw):
    packing, inputs, outputs = draw(st.sampled_from(list(LARGEST))), draw(st.integers(1, 700)), draw(st.integers(1, 9))
    weights = weights_of(draw, packing, (outputs, 1, 1, inputs))
    x = integers(draw, (1, 1, inputs), -128, 127).astype(np.int8)
    return Case(packing, FULLY_CONNECTED, 1, weights, x, (1, 1), (1, 1), (1, 1), (0, 0), 0, (1, 1, outputs))


@st.composite
def convolutions(draw, kind=CONVOLUTION):
    packing = draw(st.sampled_from(list(LARGEST)))
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    window, stride, pool = (
        pair(1, 5),
        pair(1, 3),
        draw(st.sampled_from([(1, 1), (2, 2), (2, 2), (3, 2), (1, 4), (4, 4)])),
    )
    pool_stride = tuple(size + extra for size, extra in zip(pool, pair(0, 1), strict=True))
    padding = tuple(min(size - 1, most) for size, most in zip(window, pair(0, 2), strict=True))
    rows, columns, channels = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 7))
    size = [
        max(1, ((count - 1) * by + of - 1) * pace + taps - 2 * before + draw(st.integers(0, 1)))
        for count, by, of, pace, taps, before in zip(
            (rows, columns), pool_stride, pool, stride, window, padding, strict=True
        )
    ]
    inputs = draw(st.integers(1, 8))
    if kind == DEPTHWISE:
        channels = inputs * draw(st.integers(1, 3))
    weights = weights_of(draw, packing, (channels, *window, 1 if kind == DEPTHWISE else inputs))
    x = integers(draw, (*size, inputs), -128, 127).astype(np.int8)
    at_once = draw(st.sampled_from([1, 2])) if not (pool[0] % 2 or pool[1] % 2) else 1
    value = draw(st.integers(-128, 127))
    return Case(
        packing, kind, at_once, weights, x, stride, pool, pool_stride, padding, value, (rows, columns, channels)
    )


def require_equal(program, case):
    packed, plain = program.sums(case)
    np.testing.assert_array_equal(packed, case.expected())
    np.testing.assert_array_equal(packed, plain)


@settings(max_examples=150, deadline=None)
@given(case=fully_connected())
def test_a_fully_connected_layer(program, case):
    require_equal(program, case)


@settings(max_examples=150, deadline=None)
@given(case=convolutions())
def test_a_convolution(program, case):
    require_equal(program, case)


@settings(max_examples=100, deadline=None)
@given(case=convolutions(DEPTHWISE))
def test_a_depthwise_convolution(program, case):
    require_equal(program, case)


# --- whole models -----------------------------------------------------------------------------------


def exported(folder, model, packings):
    """What `export --target c --weight-packing` leaves."""
    plan = c_source.make_plan(model, "plain", packings)
    assert plan.packings == packings
    write_artefact(folder, c_source.export(plan, FIRMWARE), model.fingerprint, target="c", **c_source.facts(plan))
    return folder


def images_of(model):
    random = np.random.default_rng(3)
    noise = random.integers(-128, 128, (8, *model.input.shape))
    extremes = random.choice([-128, 127], (8, *model.input.shape))
    return np.concatenate([noise, extremes]).astype(np.int8)


@pytest.mark.parametrize("grid", ["tie-free", "ordinary"])
def test_the_engine_runs_what_was_exported_packed(grid, tmp_path):
    """`check` takes the folder as it lies there; every logit is the reference's."""
    model = packed_models.lenet5_mixed(51, grid)
    exported(tmp_path / "build" / "c", model, MIXED)
    with Artefacts(
        tmp_path / "model.tflite", model, tflite.to_bytes(model), tmp_path / "build", kinds=["c"]
    ) as artefacts:
        folder = artefacts["c"]
        assert (folder / "le_fully_connected_trits.c").exists()
        images = images_of(model)
        expected = reference.run(model, images).reshape(len(images), -1)
        np.testing.assert_array_equal(host_c.run(folder, images), expected)


@pytest.mark.parametrize(("packing", "grid"), [("4", "tie-free"), ("2", "ordinary"), ("trits", "tie-free")])
def test_a_network_whose_depthwise_layer_is_packed(packing, grid, tmp_path):
    """Two outputs for a channel, padded, with the pooling fused into it."""
    chain = Chain(5, (11, 10, 3), tie_free=grid == "tie-free").depthwise(2, (3, 3), (2, 1), "same", name="depth")
    model = chain.pool((2, 2)).flatten().fully_connected(10, clamp=(-128, 127)).build()
    model = packed_models.few_bits(model, {"depth": LARGEST[packing]})
    folder = exported(tmp_path, model, {"depth": packing})
    assert (folder / "le_depthwise_conv2d_packed.c").exists()
    images = images_of(model)
    expected = reference.run(model, images).reshape(len(images), -1)
    np.testing.assert_array_equal(host_c.run(folder, images), expected)


def test_a_layer_of_several_tables(tmp_path):
    """Where `int` has 16 bits no object has more than 32,767 bytes: 100 rows of 351 bytes are two."""
    model = Chain(5, (1, 1, 701), tie_free=True).flatten().fully_connected(100, clamp=(-128, 127), name="wide").build()
    model = packed_models.few_bits(model, {"wide": 7})
    folder = exported(tmp_path, model, {"wide": "4"})
    text = (folder / "le_model.c").read_text()
    assert len(re.findall(r"LE_DEFINE_TABLE\(uint8_t, layer_0_wide_weights_\d, ", text)) == 2
    images = images_of(model)
    expected = reference.run(model, images).reshape(len(images), -1)
    np.testing.assert_array_equal(host_c.run(folder, images), expected)


def test_the_emitted_bytes_hold_the_weights():
    """Read from the C itself, and unpacked."""
    model = packed_models.lenet5_mixed(51)
    text = c_source.export(c_source.make_plan(model, "plain", MIXED), FIRMWARE)["le_model.c"].decode()
    for layer in (layer for layer in model.layers if layer.name in MIXED):
        found = re.search(rf"uint8_t, \w+_{layer.name.lower()}_weights, (\d+),\n([\d,\s]+)\)", text)
        codes = np.array([int(word) for word in found[2].split(",")], np.uint8)
        assert len(codes) == int(found[1])
        inputs = layer.weights.size // len(layer.bias)
        weights = unpack(codes.reshape(len(layer.bias), -1), MIXED[layer.name], inputs)
        np.testing.assert_array_equal(weights, layer.weights.reshape(-1, inputs))
