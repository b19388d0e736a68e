"""A depthwise convolution with its 1x1 by bands of rows: the C with sanitizers against the reference, also in place."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from c_harness import build_kernels, build_programs
from c_programs import FIRMWARE, images_for, needs, run
from random_chains import Chain
from written_trees import write

from lenet_edge.errors import BadInputError
from lenet_edge.formats import c_source
from lenet_edge.formats.c_source import choice, plan
from lenet_edge.formats.c_source.costs import costs
from lenet_edge.quantized import reference

MODELS = 12


@pytest.fixture(autouse=True)
def _bands_wherever_they_save(monkeypatch):
    """The plain kernels as counted on an M0, and no limit to what bands may cost."""
    counted = next(core for core in costs().cores if core.kernels == "cortex_m_base")
    monkeypatch.setattr(choice, "_measured", lambda family: counted)
    monkeypatch.setattr(plan, "_MOST_MORE", 9)
    monkeypatch.setattr(plan, "_WORTH_ITS_CODE", 0)


def separable(seed):
    """One to three pairs of any window, stride, padding, channels and outputs for each; bands begin at whole words."""
    random = np.random.default_rng(seed)
    size = tuple(int(value) for value in random.integers(6, 20, 2))
    chain = Chain(
        seed, (*size, int(random.integers(1, 6))), tie_free=bool(seed % 2), zero_point=int(random.integers(-128, 128))
    )
    chain.conv(int(random.integers(1, 13)), (3, 3), padding="same")
    for _ in range(int(random.integers(1, 4))):
        window, stride = (tuple(int(value) for value in random.integers(1, most, 2)) for most in (5, 3))
        if random.random() < 0.3:
            chain.pad(*(tuple(int(value) for value in random.integers(0, 2, 2)) for _ in range(2)))
        if min(chain.current.shape[:2]) >= 5:
            chain.depthwise(chain.pick(1, 1, 1, 2), window, stride, chain.pick("same", "valid"))
            chain.conv(int(random.integers(1, 13)), (1, 1))
    return chain.flatten().fully_connected(5).build()


def banded(model):
    """Its steps that are computed by bands."""
    return [placed.step for placed in c_source.make_plan(model).steps if placed.step.ahead]


def models():
    seed, found = 0, {}
    while len(found) < MODELS:
        with contextlib.suppress(BadInputError):
            model = separable(seed)
            if banded(model):
                found[seed] = model
        seed += 1
    return found


@needs("gcc")
def test_bands_compute_the_reference(tmp_path):
    (tmp_path / "programs").mkdir()
    found = models()
    folders = {seed: tmp_path / str(seed) for seed in found}
    for seed, model in found.items():
        write(folders[seed], c_source.export(c_source.make_plan(model), FIRMWARE))
    pairs = [step.ahead for model in found.values() for step in banded(model)]
    assert any(step.layer.weights.shape[2] % 4 for step in pairs)
    assert any(step.layer.weights.shape[2] > step.input.shape[2] for step in pairs)
    programs = build_programs(folders, tmp_path / "programs", build_kernels(tmp_path))
    for number, (seed, model) in enumerate(found.items()):
        images = images_for(model)
        outputs = np.frombuffer(run(programs[seed], number, input=images.tobytes()), np.int8).reshape(len(images), -1)
        np.testing.assert_array_equal(outputs, reference.run(model, images).reshape(len(images), -1), str(seed))
