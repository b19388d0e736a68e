"""The kernels for DSP, but for tiles and matrices, touch nothing but their buffers and give the same integers;
test_fenced_kernels.py has those for MVE, and shows that the fences hold."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

import fenced_cases
import numpy as np
import pytest
import workbench
from fenced_cases import FULL, Case
from random_chains import Chain

from lenet_edge.formats.c_source.choice import candidates
from lenet_edge.formats.c_source.families import dsp_few, dsp_nested, dsp_positions
from lenet_edge.quantized.model import QuantizedModel

FAMILY = "cortex_m_dsp"


def chain_of(seed, shape, tie_free):
    return Chain(seed, shape, tie_free=tie_free, zero_point=int(np.random.default_rng(seed).choice([-128, 0, 17, 127])))


def small(tie_free):
    """3 x 3 on maps of 1 to 8 pixels a side: stride 1, stride 2, pooled."""
    for seed in range(30_000, 30_160):
        random = np.random.default_rng(seed)
        stride, pooled = [((1, 1), False), ((2, 2), False), ((1, 1), True)][seed % 3]
        size = tuple(int(extent) for extent in random.integers(2 if pooled else 1, 9, 2))
        channels = int(random.choice([4, 5, 6, 7, 8, 9, 12]))
        padding = "same" if min(size) < 4 or random.random() < 0.6 else "valid"
        chain = chain_of(seed, (*size, channels), tie_free)
        chain.depthwise(1, (3, 3), stride, padding, FULL if random.random() < 0.7 else None)
        yield f"{size} x {channels} {stride} {padding} {pooled}", chain.pool((2, 2)) if pooled else chain


def narrow(tie_free):
    """Maps and windows one pixel wide, which are computed as if they were one pixel high."""
    for seed in range(31_000, 31_030):
        random = np.random.default_rng(seed)
        height, channels = int(random.integers(3, 20)), int(random.integers(1, 10))
        window, stride = (int(random.integers(1, height + 1)), 1), (int(random.integers(1, 3)), 1)
        chain = chain_of(seed, (height, 1, channels), tie_free)
        padding = fenced_cases._pad(chain, window) if seed % 3 == 0 else str(random.choice(["same", "valid"]))
        yield f"{height} x {channels} by {window} {padding}", chain.depthwise(1, window, stride, padding, FULL)


def nested(tie_free):
    """5 x 5, pooled by 2 x 2: rows of 1 to 9 windows, so one to several strips, 2 to 9 channels, edges, clamps."""
    for seed in range(32_000, 32_080):
        random = np.random.default_rng(seed)
        padding = "same" if random.random() < 0.5 else "valid"
        least = 6 if padding == "valid" else 2
        size = tuple(int(least + extent) for extent in random.integers(0, (11, 18)))
        inputs, outputs = 2 + seed % 8, int(random.integers(1, 10))
        chain = chain_of(seed, (*size, inputs), tie_free)
        chain.conv(outputs, (5, 5), (1, 1), padding, FULL if random.random() < 0.7 else None)
        yield f"nested {size} x {inputs} {padding} to {outputs}", chain.pool((2, 2))


def depthwise_cases(tie_free) -> list[Case]:
    found = [fenced_cases._case(name, "", chain) for make in (small, narrow) for name, chain in make(tie_free)]
    found += fenced_cases.depthwise(tie_free=tie_free)
    return [dataclasses.replace(case, kernel="dsp depthwise") for case in found]


def nested_cases(tie_free) -> list[Case]:
    found = [fenced_cases._case(name, "", chain) for name, chain in nested(tie_free)]
    return [dataclasses.replace(case, kernel="dsp tiles, nested") for case in found]


def positions_cases(tie_free) -> list[Case]:
    """Any window and stride; rows that are filled up, whole words, or copied; few channels in."""
    found = list(fenced_cases.windows("", 220, 6, tie_free=tie_free))
    for seed, width in enumerate((3, 5, 6, 8, 9)):
        for inputs in (1, 2, 3, 4):
            chain = chain_of(33_000 + 10 * seed + inputs, (width, width + 6, inputs), tie_free)
            chain.conv(1 + inputs, (3, 3), (1, 1 + seed % 2), "valid", FULL)
            found.append(fenced_cases._case(f"positions {width} x {width + 6} x {inputs}", "", chain))
    return [dataclasses.replace(case, kernel="dsp positions") for case in found if has_positions(case, tie_free)]


def wide_cases(tie_free):
    """Layers whose sums times 256 do not fit an int32: any rest of a step, a round and a fold."""
    for seed in range(14):
        inputs, outputs = (1_100 if tie_free else 530) + 61 * seed, 2 + seed % 12
        chain = Chain(34_000 + seed, (1, 1, inputs), tie_free=tie_free, zero_point=0 if tie_free else 17)
        chain.flatten().fully_connected(outputs, FULL)
        if not tie_free:  # as large as they can be: -128 must not be next to a negative weight
            dense = chain.layers[1]
            weights = np.where(np.arange(outputs)[:, None] % 4 < 2, [[127]], dense.weights)
            weights[1::4] = -128 if seed % 2 else 127
            weights[::4] = 1
            scales = dense.weight_scales / 4
            chain.layers[1] = dataclasses.replace(dense, weights=weights.astype(np.int8), weight_scales=scales)
        model = QuantizedModel(tuple(chain.layers))
        yield Case(f"{inputs} to {outputs}", "dsp matrix", model, fenced_cases._images(model, seed))
    for seed in range(3):  # by patches: stride 2, for which there are no tiles
        chain = Chain(35_000 + seed, (4, 5, 130 + seed), tie_free=tie_free, zero_point=0)
        model = chain.conv(3 + seed, (3, 3), (2, 2), "same", FULL).build()
        yield Case(f"patches {seed}", "dsp matrix, by patches", model, fenced_cases._images(model, seed))


def few_cases(tie_free):
    """1 x 1 and dense on 4 to 16 inputs, 3 x 3 on one channel, small matrices; with a ReLU and without."""
    for seed in range(36_000, 36_240):
        random = np.random.default_rng(seed)
        height, width, outputs = (int(size) for size in random.integers(1, (9, 12, 11)))
        zero_point, clamp = [(-128, FULL), (None, None), (-128, None), (17, (17, 127))][seed % 4]
        kind, inputs = seed // 4 % 4, int(random.choice([4, 8, 12, 16]))
        if kind == 2 and seed % 32 > 24:  # several strips
            height, width = height + 9, width + 100
        shapes = (height, width, inputs), (1, 1, inputs), (height, width, 1), (1, 1, 8 * outputs)
        chain = chain_of(seed, shapes[kind], tie_free)
        if kind == 0:
            chain.conv(outputs, (1, 1), clamp=clamp, zero_point=zero_point)
        elif kind == 2:
            padding = "same" if min(height, width) < 3 else str(random.choice(["same", "valid"]))
            padding = fenced_cases._pad(chain, (3, 3)) if padding == "valid" and seed % 32 < 16 else padding
            stride = tuple(int(size) for size in random.integers(1, 4, 2))
            chain.conv(outputs, (3, 3), stride, padding, clamp, zero_point=zero_point)
        else:
            chain.flatten().fully_connected(outputs if kind == 1 else 2 + 2 * (seed % 5), clamp)
        name = ("dsp few inputs", "dsp few inputs", "dsp 3 x 3 on one channel", "dsp small matrix")[kind]
        if kind < 3 or outputs > 2:
            case = fenced_cases._case(f"few {kind} {chain.layers[0].input.shape} to {outputs}", "", chain)
            yield dataclasses.replace(case, kernel=name)


def has_positions(case, tie_free):
    """Not another pooling, nor a weight of -128 next to a negative one, nor a scale of a half or more."""
    kernels = candidates(FAMILY, case.step, "it", divisible=tie_free)
    return not isinstance(kernels, str) and "dsp positions" in [kernel.name for kernel in kernels]


def run_between_fences(cases, folder):
    """The names of the kernels; fails where one does what it should not."""
    workbench.need(fenced_cases.BOARD, "gcc", "qemu")
    names = fenced_cases.write(cases, folder, FAMILY)
    code, said = fenced_cases.run(fenced_cases.build(folder, "gcc", family=FAMILY))
    assert [cases[index].name for index in said.get("failed case", []) + said.get("fault in case", [])] == [], said
    assert code == 0
    assert said["images"] == [fenced_cases.IMAGES * len(cases)]
    return names


@pytest.mark.parametrize("tie_free", [True, False])
def test_depthwise_kernels_stay_between_the_fences(tie_free, tmp_path):
    counts = Counter(run_between_fences(depthwise_cases(tie_free), tmp_path))
    assert len(counts) == 4
    assert min(counts.values()) >= 50


@pytest.mark.parametrize("tie_free", [True, False])
def test_nested_kernels_stay_between_the_fences(tie_free, tmp_path):
    cases = nested_cases(tie_free)
    assert {strips_of(case.step) for case in cases} >= {1, 2, 3}
    assert set(run_between_fences(cases, tmp_path)) == {"dsp tiles, nested"}


@pytest.mark.parametrize("tie_free", [True, False])
def test_matrices_of_many_inputs_stay_between_the_fences(tie_free, tmp_path):
    cases = list(wide_cases(tie_free))
    kernels = [candidates(FAMILY, case.step, "it", divisible=tie_free)[0] for case in cases]
    calls = [kernel.calls(("in",), "out", "scratch")[0] for kernel in kernels]
    assert sum(call.startswith("le_fully_connected_wide_") for call in calls) >= 10
    assert sum(call.startswith("le_conv2d_patches_wide_") for call in calls) == 3
    assert set(run_between_fences(cases, tmp_path)) == {"dsp matrix", "dsp matrix, by patches"}


def strips_of(step):
    return -(-step.output.shape[1] // dsp_nested.strip_of(step))


@pytest.mark.parametrize("tie_free", [True, False])
def test_kernels_of_several_positions_stay_between_the_fences(tie_free, tmp_path):
    cases = positions_cases(tie_free)
    kinds = {(dsp_positions.by_rows(case.step.layer), dsp_positions.filled_rows(case.step.layer)) for case in cases}
    assert kinds == {(True, False), (False, True), (False, False)}
    assert len(cases) >= 60
    assert set(run_between_fences(cases, tmp_path)) == {"dsp positions"}


@pytest.mark.parametrize("tie_free", [True, False])
def test_kernels_of_few_inputs_stay_between_the_fences(tie_free, tmp_path):
    cases = list(few_cases(tie_free))
    kernels = [
        next(kernel for kernel in candidates(FAMILY, case.step, "it", divisible=tie_free) if kernel.name == case.kernel)
        for case in cases
    ]
    functions = Counter(function for kernel in kernels for function in functions_in(kernel))
    which = [f"few_{inputs}" for inputs in (4, 8, 12, 16)] + ["nine", "small_matrix"]
    roundings = ["point"] if tie_free else ["point", "double"]
    assert set(functions) == {f"{name}_{rounding}" for name in which for rounding in roundings}
    assert min(functions.values()) >= 3
    assert len({kernel.scratch_bytes == 0 for kernel in kernels if kernel.name == "dsp 3 x 3 on one channel"}) == 2
    several = [
        0 < dsp_few._strip_rows(case.step) < case.step.output.shape[0] for case in cases if "3 x 3" in case.kernel
    ]
    assert 3 <= sum(several) < len(several)
    run_between_fences(cases, tmp_path)


def functions_in(kernel):
    text = "".join((kernel.definitions, *kernel.calls(("in",), "out", "scratch")))
    return re.findall(r"le_(\w+_(?:point|double))_dsp_s8", text)
