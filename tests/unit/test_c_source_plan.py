"""The plan of the generated C: what is fused, and where each tensor lies."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import sample_models
from hypothesis import given, settings
from hypothesis import strategies as st
from random_chains import Chain, random_chain

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source import make_plan
from lenet_edge.formats.c_source.steps import windows_of
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d, Flatten, Lookup, Softmax

chains = st.builds(random_chain, st.integers(0, 2**32), tie_free=st.booleans())


def aligned(size):
    return (size + 3) // 4 * 4


def patch_reads_outside(step):
    """Whether a window sees a pixel outside the input: every position is looked at."""
    if not isinstance(step.layer, (Conv2d, DepthwiseConv2d)):
        return False
    windows = windows_of(step.layer, step.pool)
    for axis in range(2):
        for position in range(step.output.shape[axis]):
            first = position * windows.step[axis] - windows.padding[axis]
            if first < 0 or first + windows.patch[axis] > step.input.shape[axis]:
                return True
    return False


def steps_of(plan):
    return [placed.step for placed in plan.steps]


def input_offset(placed):
    """Where a step's input lies in the workspace; None: elsewhere."""
    (source,) = placed.sources
    return source.offset if source.where == "memory" else None


def needs(plan):
    """(input, patch, output) of each step in bytes of the workspace; 0 for image, logits and what changes in place."""
    for index, step in enumerate(steps_of(plan)):
        source = 0 if index == 0 else aligned(math.prod(step.input.shape))
        in_place = isinstance(step.layer, (Lookup, Softmax)) and index > 0
        target = 0 if in_place or index == len(plan.steps) - 1 else aligned(math.prod(step.output.shape))
        windows = windows_of(step.layer, step.pool) if patch_reads_outside(step) else None
        patch = math.prod(windows.patch) * step.input.shape[2] if windows else 0
        yield source, patch, target


@settings(max_examples=150, deadline=None)
@given(chains)
def test_what_is_alive_together_lies_apart_in_the_smallest_workspace(model):
    try:
        plan = make_plan(model)
    except BadInputError:
        assert all(isinstance(layer, Flatten) for layer in model.layers)
        return
    used, wanted = [bytearray(plan.workspace_bytes) for _ in plan.steps], list(needs(plan))
    least = max(source + target for source, _, target in wanted)
    for placed, (source, patch, target), memory in zip(plan.steps, wanted, used, strict=True):
        assert placed.kernel.scratch_bytes in (patch, 0)
        assert placed.kernel.scratch_bytes == patch or source + aligned(patch) + target > least
        scratch = placed.kernel.scratch_bytes
        for offset, size in ((input_offset(placed), source), (placed.scratch_offset, scratch), (placed.offset, target)):
            if size:
                assert offset % 4 == 0
                assert offset + size <= plan.workspace_bytes
                assert not any(memory[offset : offset + size])
                memory[offset : offset + size] = bytes([1]) * size
    assert plan.workspace_bytes == max(
        source + aligned(placed.kernel.scratch_bytes) + target
        for placed, (source, _, target) in zip(plan.steps, wanted, strict=True)
    )


@settings(max_examples=100, deadline=None)
@given(chains)
def test_steps_are_a_chain_of_all_layers(model):
    computing = [layer.name for layer in model.layers if not isinstance(layer, Flatten)]
    if not computing:
        return
    plan = make_plan(model)
    steps = steps_of(plan)
    assert sorted(name for step in steps for name in step.names) == sorted(computing)
    assert (input_offset(plan.steps[0]), plan.steps[-1].offset) == (None, None)
    for before, after in pairwise(plan.steps):
        assert input_offset(after) == before.offset
        assert math.prod(after.step.input.shape) == math.prod(before.step.output.shape)
        if isinstance(after.step.layer, (Lookup, Softmax)) and after is not plan.steps[-1]:
            assert after.offset == input_offset(after)
    assert math.prod(steps[-1].output.shape) == math.prod(model.output.shape)
    assert [name for name in computing if name in {step.shows for step in steps}] == [
        step.shows for step in steps if step.shows is not None
    ]


def names(plan):
    return [step.names for step in steps_of(plan)]


def test_lenet5_has_no_tensor_before_a_pooling():
    plan = make_plan(sample_models.lenet5())
    assert names(plan) == [("C1", "S2"), ("C3", "S4"), ("C5",), ("F6",), ("OUTPUT",)]
    assert plan.workspace_bytes == 14 * 14 * 6 + 5 * 5 * 16  # docs/design.md 2.3: C1 leaves 1,176 bytes
    assert [step.shows for step in steps_of(plan)] == ["S2", "S4", "C5", "F6", "OUTPUT"]


def test_a_pooling_moves_in_front_of_a_monotone_table():
    plan = make_plan(sample_models.lenet5_sigmoid())
    assert names(plan)[:4] == [("C1", "S2"), ("C1/sigmoid",), ("C3", "S4"), ("C3/sigmoid",)]
    assert [step.shows for step in steps_of(plan)][:4] == [None, "S2", None, "S4"]
    assert plan.steps[1].step.output.shape == (14, 14, 6)


IMAGE = (12, 10, 2)


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        (Chain(0, IMAGE).conv(3, (3, 3)).pool((2, 2)).pool((2, 2)), [2, 1]),
        (Chain(0, IMAGE).depthwise(1, (3, 3)).pool((2, 2)), [2]),
        (Chain(0, IMAGE).conv(3, (3, 3)).pool((2, 2), (3, 3)), [2]),
        (Chain(0, IMAGE).conv(3, (3, 3)).pool((3, 3), (2, 2)), [1, 1]),  # windows overlap
        (Chain(0, IMAGE).conv(3, (2, 2)).pool((2, 2), padding="same"), [1, 1]),  # 11 rows: a window hangs over
        (Chain(0, IMAGE).conv(3, (3, 3)).pool((2, 2), padding="same"), [2]),  # 10 rows and 8 columns: none does
        (Chain(0, IMAGE).conv(3, (3, 3)).scrambled().pool((2, 2)), [1, 1, 1]),
        (Chain(0, IMAGE).conv(3, (3, 3)).lookup().pool((2, 2), clamp=(0, 90)), [1, 1, 1]),
        (Chain(0, IMAGE).conv(3, (3, 3)).lookup().lookup().pool((2, 2)), [1, 1, 1, 1]),
        (Chain(0, IMAGE).conv(3, (3, 3)).flatten().fully_connected(4), [1, 1]),
        (Chain(0, IMAGE).pool((2, 2)).lookup(), [1, 1]),
        (Chain(0, (600, 600, 1)).conv(1, (1, 1), (15, 15)).pool((2, 2), (20, 20)), [1, 1]),  # a step of 300
    ],
)
def test_what_is_fused(chain, expected):
    assert [len(step.names) for step in steps_of(make_plan(chain.build()))] == expected


def test_a_pooling_clamps_the_clamp():
    for low, high, expected in ((-128, 127, (-20, 50)), (0, 30, (0, 30)), (60, 90, (60, 60)), (-90, -60, (-60, -60))):
        chain = Chain(0, IMAGE).conv(3, (3, 3), clamp=(-20, 50)).pool((2, 2), clamp=(low, high))
        (step,) = steps_of(make_plan(chain.build()))
        assert step.clamp == (min(expected), max(expected))


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        (Chain(0, IMAGE).flatten(), "no layer that computes"),
        (Chain(0, (1, 65_536, 1)).lookup(), "size of 65536"),
        (Chain(0, (256, 257, 1)).flatten().fully_connected(2), "size of 65792"),
        (Chain(0, (1, 300, 1)).conv(1, (1, 256), multiplier=1e-4), "window of 256"),
        (Chain(0, (1, 300, 1)).pool((1, 256)), "window of 256"),
        (Chain(0, (1, 300, 1)).pool((1, 1), (1, 256)), "window of 256"),
        (Chain(0, (1, 4096, 1)).flatten().softmax(), "softmax of 4096"),
    ],
)
def test_sizes_beyond_the_c_structures_are_refused(chain, message):
    with pytest.raises(BadInputError, match=message):
        make_plan(chain.build())


def test_more_steps_than_a_byte_counts_are_refused():
    chain = Chain(0, (1, 1, 1))
    for _ in range(255):
        chain.lookup(table=np.zeros(256, np.int8))
    assert len(make_plan(chain.build()).steps) == 255
    with pytest.raises(BadInputError, match="256 steps"):
        make_plan(chain.lookup().build())
