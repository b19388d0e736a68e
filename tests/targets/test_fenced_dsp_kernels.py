"""The depthwise kernels for DSP touch nothing but their buffers and give the same integers; test_fenced_kernels.py has
those for MVE, and shows that the fences hold."""

from __future__ import annotations

import dataclasses
from collections import Counter

import fenced_cases
import numpy as np
import pytest
import workbench
from fenced_cases import FULL, Case
from random_chains import Chain

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
        padding = str(random.choice(["same", "valid"]))
        yield f"{height} x {channels} by {window}", chain.depthwise(1, window, stride, padding, FULL)


def cases_of(tie_free) -> list[Case]:
    found = [fenced_cases._case(name, "", chain) for make in (small, narrow) for name, chain in make(tie_free)]
    found += fenced_cases.depthwise(tie_free=tie_free)
    return [dataclasses.replace(case, kernel="dsp depthwise") for case in found]


@pytest.mark.parametrize("tie_free", [True, False])
def test_depthwise_kernels_stay_between_the_fences(tie_free, tmp_path):
    workbench.need(fenced_cases.BOARD, "gcc", "qemu")
    cases = cases_of(tie_free)
    names = fenced_cases.write(cases, tmp_path, FAMILY)
    code, said = fenced_cases.run(fenced_cases.build(tmp_path, "gcc", family=FAMILY))
    assert [cases[index].name for index in said.get("failed case", []) + said.get("fault in case", [])] == [], said
    assert code == 0
    assert said["images"] == [fenced_cases.IMAGES * len(cases)]
    counts = Counter(names)
    assert len(counts) == 4
    assert min(counts.values()) >= 50
