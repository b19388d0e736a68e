"""le_move.c and le_move_words.c against numpy: regions of any counts and strides, between canaries."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from c_programs import INCLUDES, KERNELS, STRICT_C, needs, run
from hypothesis import given
from hypothesis import strategies as st

SHARED = KERNELS / "shared"
WAYS = {"le_move.c": (), "le_move_words.c": (), "in words": ("-DLE_WORDS",)}
FILLS = ["le_move_words.c", "in words"]  # with le_move.c libc's memset serves
CANARY = 0x5A


class Region(ctypes.Structure):
    _fields_ = (
        ("counts", ctypes.c_size_t * 4),
        ("source", ctypes.c_ssize_t * 4),
        ("target", ctypes.c_ssize_t * 4),
    )


@pytest.fixture(scope="module", params=WAYS)
def library(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("moves")
    source = SHARED / ("le_move_words.c" if request.param == "in words" else request.param)
    flags = (*STRICT_C, *WAYS[request.param], "-O2", "-fsanitize=undefined", "-fno-sanitize-recover=all")
    run("gcc", *flags, "-shared", "-fPIC", *INCLUDES, source, "-o", folder / "moves.so")
    return ctypes.CDLL(str(folder / "moves.so"))


@st.composite
def regions(draw):
    """Counts; what the shapes have more; the order of the source's axes, which are read backwards; first addresses."""
    counts = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 5]), min_size=3, max_size=3)))
    counts += (draw(st.integers(1, 70)),)
    more = [tuple(draw(st.lists(st.integers(0, 5), min_size=4, max_size=4))) for _ in range(2)]
    order = draw(st.sampled_from([(0, 1, 2, 3), (0, 1, 2, 3), (3, 0, 1, 2), (0, 2, 1, 3)]))
    backwards = draw(st.lists(st.booleans(), min_size=4, max_size=4))
    return counts, more, order, backwards, draw(st.integers(0, 3)), draw(st.integers(0, 3))


def _strided(memory, first, shape, order):
    """A view of the shape whose axes lie in the memory in that order."""
    laid = memory[first : first + int(np.prod(shape))].reshape([shape[axis] for axis in order])
    return laid.transpose(np.argsort(order))


@needs("gcc")
@given(case=regions())
def test_every_byte_gets_to_its_place_and_no_other_is_touched(library, case):
    counts, more, order, backwards, at_source, at_target = case
    shapes = [tuple(map(sum, zip(counts, each, strict=True))) for each in more]
    read = np.random.default_rng(sum(counts)).integers(-128, 128, int(np.prod(shapes[0])) + 8).astype(np.int8)
    written = np.full(int(np.prod(shapes[1])) + 8, CANARY, np.int8)
    expected = written.copy()
    inside = tuple(slice(0, count) for count in counts)
    turned = tuple(slice(None, None, -1 if back else 1) for back in backwards)
    source = _strided(read, at_source, shapes[0], order)[inside][turned]
    target = _strided(written, at_target, shapes[1], (0, 1, 2, 3))[inside]
    _strided(expected, at_target, shapes[1], (0, 1, 2, 3))[inside] = source
    region = Region(counts, source.strides, target.strides)
    move = library.le_move_words_s8 if hasattr(library, "le_fill_s8") else library.le_move_s8
    move(ctypes.byref(region), *(ctypes.c_void_p(each.ctypes.data) for each in (source, target)))
    np.testing.assert_array_equal(written, expected)


@needs("gcc")
@pytest.mark.parametrize("library", FILLS, indirect=True)
def test_a_fill_touches_nothing_else(library):
    for count in range(40):
        for first in range(4):
            memory = np.full(60, CANARY, np.int8)
            pointer = ctypes.c_void_p(memory.ctypes.data + first)
            library.le_fill_s8(pointer, ctypes.c_int8(-7), ctypes.c_size_t(count))
            assert (memory[first : first + count] == -7).all()
            assert (np.delete(memory, np.s_[first : first + count]) == CANARY).all()
