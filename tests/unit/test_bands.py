"""Bands of rows, counted by hand: which rows each sees, and what a workspace of them holds."""

from __future__ import annotations

import pytest
from random_chains import Chain

from lenet_edge.formats.c_source import bands, choice, make_plan, plan
from lenet_edge.formats.c_source.costs import costs
from lenet_edge.formats.c_source.fusing import fuse


def separable(stride=(1, 1), height=7):
    """A convolution that makes the map, then a pair of 3 x 3 and 1 x 1 on rows of 5 x 4 bytes."""
    chain = Chain(5, (height, 5, 1), tie_free=True).conv(4, (1, 1)).depthwise(1, (3, 3), stride, "same")
    return chain.conv(4, (1, 1)).flatten().fully_connected(3).build()


@pytest.mark.parametrize(
    ("stride", "rows", "expected"),
    [  # first row of the output, bands, rows of each, first row that is seen, rows that are, padding above and below
        ((1, 1), 2, [(0, 1, 2, 0, 3, (1, 0)), (2, 2, 2, 1, 4, (0, 0)), (6, 1, 1, 5, 2, (0, 1))]),
        ((1, 1), 4, [(0, 1, 4, 0, 5, (1, 0)), (4, 1, 3, 3, 4, (0, 1))]),
        ((2, 2), 1, [(0, 1, 1, 0, 2, (1, 0)), (1, 2, 1, 1, 3, (0, 0)), (3, 1, 1, 5, 2, (0, 1))]),
    ],
)
def test_the_rows_of_bands(stride, rows, expected):
    steps = fuse(separable(stride))
    assert bands.pairs_of(steps) == [1]
    found = bands.bands_of(steps[1], steps[2], rows)
    seen = [(each.upper.layer.input.shape[0], each.upper.layer.padding[0]) for each in found]
    assert [
        (each.first, each.count, each.rows, each.source_row, *of_input)
        for each, of_input in zip(found, seen, strict=True)
    ] == expected


def test_what_is_no_pair():
    """A map that two layers read, a window of more than a pixel, a stride, and a pooling between the two."""
    start = Chain(5, (6, 6, 4)).depthwise(1, (3, 3), padding="same")
    assert bands.pairs_of(fuse(start.conv(4, (1, 1)).conv(4, (1, 1)).build())) == [0]
    for make in (
        lambda chain: chain.conv(4, (2, 1)),
        lambda chain: chain.conv(4, (1, 1), (2, 2)),
        lambda chain: chain.pool((2, 2)).conv(4, (1, 1)),
        lambda chain: chain.conv(4, (1, 1)).pool((2, 2)),
    ):
        chain = Chain(5, (6, 6, 4)).depthwise(1, (3, 3), padding="same")
        assert bands.pairs_of(fuse(make(chain).flatten().fully_connected(3).build())) == []


def test_a_workspace_by_hand(monkeypatch):
    """Maps of 20 rows of 20 bytes: apart 400 + 400, with the patch of 36 in what is free of them (`two_parts`).

    In bands of a row the output begins two rows in front of its input: row 2 is written in the band that sees rows 1 to
    3, so its 60 bytes must end in front of row 1. Next to these 440 are the row between the two, and the patch.
    """
    model = separable(height=20)
    apart = make_plan(model)
    assert apart.workspace_bytes == 400 + 400
    counted = next(core for core in costs().cores if core.kernels == "cortex_m_base")
    monkeypatch.setattr(choice, "_measured", lambda family: counted)
    monkeypatch.setattr(plan, "_MOST_MORE", 1)
    found = make_plan(model)
    assert found.workspace_bytes == 400 + 40 + 20 + 36
    assert [placed.step.names for placed in found.steps][1] == sum((each.step.names for each in apart.steps[1:3]), ())
    assert found.steps[1].kernel.rows_at_once == 1
    assert found.steps[1].step.macs == sum(placed.step.macs for placed in apart.steps[1:3])
    assert sum(times for *_, times in found.steps[1].parts) == 2 * 20
