"""The deepest path of an AVR's firmware, of code made by hand: words of the instruction set manual."""

from __future__ import annotations

import struct

import made_elf
import pytest

from lenet_edge.errors import CheckFailedError
from lenet_edge.hardware import boards, firmware
from lenet_edge.hardware.elf import Elf
from lenet_edge.hardware.stack_depth import StackDepth, frames_of, stack_depth

AVR = 83
PUSH, POP, RET, NOP, ICALL = 0x920F, 0x900F, 0x9508, 0x0000, 0x9509
CALL, JMP = 0x940E, 0x940C


def program(**functions: list[int | tuple[int, str]]) -> Elf:
    """Functions one behind the other; (CALL or JMP, a name) takes two words."""
    starts, at = dict[str, int](), 0
    for name, words in functions.items():
        starts[name] = at
        at += 2 * sum(2 if isinstance(word, tuple) else 1 for word in words)
    content, symbols = b"", []
    for name, words in functions.items():
        for word in words:
            content += struct.pack("<HH", word[0], starts[word[1]] // 2) if isinstance(word, tuple) else b""
            content += struct.pack("<H", word) if isinstance(word, int) else b""
        symbols.append((name, starts[name], len(content) - starts[name], 1))
    part, section = made_elf.Part(0, 0, content), made_elf.Sect(".text", 0, content)
    return Elf(made_elf.elf([part], [section], symbols, machine=AVR, entry=0))


LEAF = [PUSH, PUSH, POP, PUSH, POP, POP, RET]  # two at a time, and the return address
TWO_PATHS = {"main": [(CALL, "wide"), (CALL, "deep"), RET], "wide": [RET], "deep": [(CALL, "leaf"), RET], "leaf": LEAF}


def test_the_deepest_path_and_its_frames():
    """deep 10 and leaf 2 + 2 in front of wide's 13; of frames that GCC does not tell, pushes are counted."""
    found = stack_depth(program(**TWO_PATHS), {"main": 4, "wide": 13, "deep": 10})
    assert (found.bytes, found.path, found.problem) == (4 + 10 + 4, ("main", "deep", "leaf"), "")
    assert stack_depth(program(**TWO_PATHS), {"main": 4, "wide": 15, "deep": 10}).path == ("main", "wide")


def test_a_jump_to_the_end_and_a_function_that_goes_on_in_the_next():
    jumps = program(main=[(JMP, "leaf")], leaf=LEAF)
    goes_on = program(main=[PUSH, POP, NOP], leaf=LEAF)
    assert stack_depth(jumps, {"main": 6}).bytes == stack_depth(goes_on, {"main": 6}).bytes == 6 + 4


def test_relative_calls_and_loops():
    """RCALL to the leaf behind; BRNE and RJMP back to where the function begins are loops, no calls."""
    found = stack_depth(program(main=[0xF7F9, 0xD001, 0xCFFD], leaf=LEAF), {"main": 2})
    assert (found.bytes, found.path) == (6, ("main", "leaf"))


def test_a_copy_has_the_frame_of_its_function():
    elf = program(**{"main": [(CALL, "put.constprop.0"), RET], "put.constprop.0": [RET]})
    assert stack_depth(elf, {"main": 2, "put": 9}).bytes == 11


@pytest.mark.parametrize(
    ("functions", "frames", "problem"),
    [
        ({"main": [(CALL, "a"), RET], "a": [(CALL, "main"), RET]}, {}, "main may call itself: main > a > main"),
        ({"main": [(CALL, "main"), RET]}, {}, "main may call itself"),
        ({"main": [(CALL, "a"), RET], "a": [ICALL, RET]}, {}, "a calls through a pointer, nobody knows what"),
        ({"main": [RET]}, {"main": None}, "the frame of main is not always the same"),
        ({"other": [RET]}, {}, "0 functions are called main"),
    ],
)
def test_what_proves_nothing(functions, frames, problem):
    found = stack_depth(program(**functions), frames)
    assert (found.bytes, found.path) == (None, ())
    assert problem in found.problem


def test_pointers_of_the_firmware():
    """A frame's bytes go through `port_putc`, wherever it is."""
    elf = program(main=[(CALL, "le_link_reply"), RET], le_link_reply=[ICALL, RET], port_putc=LEAF)
    assert stack_depth(elf, {"main": 2, "le_link_reply": 8}).path == ("main", "le_link_reply", "port_putc")


def test_the_files_of_gcc(tmp_path):
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "a.c.su").write_text("a.c:3:5:one\t14\tstatic\na.c:9:5:same\t6\tstatic\n")
    (tmp_path / "b.c.su").write_text("b.c:3:5:same\t8\tstatic\nb.c:9:5:varies\t6\tdynamic\n")
    assert frames_of(tmp_path) == {"one": 14, "same": 8, "varies": None}


def test_a_stack_that_is_too_small_is_refused():
    board, depth = boards.load("uno"), StackDepth(217, ("main", "infer"))
    firmware._require_stack(board, depth, 217)
    firmware._require_stack(board, StackDepth(None, problem="unknown"), 0)
    with pytest.raises(CheckFailedError, match=r"stack: main > infer takes 217 bytes, 1 more than the 216 that are"):
        firmware._require_stack(board, depth, 216)
