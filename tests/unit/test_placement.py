"""Tensors in one memory: apart while both live, as small as an exhaustive search, never above TFLM's plan."""

from itertools import combinations, product

from hypothesis import given, settings
from hypothesis import strategies as st

from lenet_edge.formats.c_source.placement import Lifetime, lower_bound, place

lifetimes = st.builds(
    lambda size, first, length: Lifetime(4 * size, first, first + length),
    st.integers(1, 6),
    st.integers(0, 6),
    st.integers(0, 4),
)


def size_of(tensors, offsets):
    return max((offset + tensor.size for offset, tensor in zip(offsets, tensors, strict=True)), default=0)


def overlap(tensors, offsets):
    return any(
        first.first <= second.last
        and second.first <= first.last
        and low < high + second.size
        and high < low + first.size
        for (first, low), (second, high) in combinations(zip(tensors, offsets, strict=True), 2)
    )


def smallest(tensors):
    """Every offset of every tensor is tried, from the bound on."""
    total = lower_bound(tensors)
    while True:
        places = [range(0, total - tensor.size + 1, 4) for tensor in tensors]
        if any(not overlap(tensors, offsets) for offsets in product(*places)):
            return total
        total += 4


def tflm_greedy(tensors):
    """TFLM's ``GreedyMemoryPlanner``: the largest first, each in the first gap between those that live with it."""
    placed = []
    for tensor in sorted(tensors, key=lambda each: (-each.size, each.first)):
        offset = 0
        for start, other in sorted(placed, key=lambda entry: entry[0]):
            if tensor.first <= other.last and other.first <= tensor.last:
                if start - offset >= tensor.size:
                    break
                offset = max(offset, start + other.size)
        placed.append((offset, tensor))
    return max(offset + tensor.size for offset, tensor in placed)


@settings(max_examples=150, deadline=None)
@given(st.lists(lifetimes, min_size=1, max_size=4))
def test_few_tensors_take_the_least_memory_that_there_is(tensors):
    offsets = place(tensors)
    assert not overlap(tensors, offsets)
    assert size_of(tensors, offsets) == smallest(tensors)


@settings(max_examples=100, deadline=None)
@given(st.lists(lifetimes, min_size=8, max_size=30))
def test_many_tensors_never_take_more_than_tflm_plans(tensors):
    offsets = place(tensors)
    assert not overlap(tensors, offsets)
    assert lower_bound(tensors) <= size_of(tensors, offsets) <= tflm_greedy(tensors)
    assert place(tensors) == offsets


def test_a_case_that_the_largest_first_gets_wrong():
    lives = ((12, 2, 4), (20, 4, 4), (20, 0, 1), (12, 2, 4), (20, 0, 3))
    tensors = [Lifetime(*life) for life in lives]
    assert size_of(tensors, place(tensors)) == lower_bound(tensors) == 44
    assert tflm_greedy(tensors) == 64


def test_a_case_of_many_that_no_usual_order_gets_right():
    """The largest, the longest or the earliest first give 168 bytes: other orders are tried."""
    lives = [(24, 4, 8), (8, 6, 6), (36, 2, 6), (20, 2, 3), (24, 6, 7), (12, 6, 6), (28, 5, 7), (28, 1, 5), (32, 3, 6)]
    tensors = [Lifetime(*life) for life in lives]
    offsets = place(tensors)
    assert not overlap(tensors, offsets)
    assert size_of(tensors, offsets) == lower_bound(tensors) == 24 + 8 + 36 + 24 + 12 + 28 + 32  # at step 6


def test_nothing_takes_nothing():
    assert place([]) == []
    assert lower_bound([]) == 0
