"""The deepest path of a firmware, of code made by hand: words of the instruction set manuals."""

from __future__ import annotations

import re

import pytest
from linked_code import (
    ADD_8,
    ARM,
    BEQ_OVER,
    BLX_R3,
    BX_LR,
    BX_R3,
    CALL,
    ICALL,
    JMP,
    JR_A5,
    LOOP,
    MOV_SP,
    NOP,
    POP,
    POP_ALL,
    POP_R3,
    POP_TWO,
    PUSH,
    PUSH_ALL,
    PUSH_TWO,
    RET,
    RISCV,
    RV_RET,
    SP_DOWN,
    SP_UP,
    SUB_8,
    linked,
    program,
)

from lenet_edge.errors import CheckFailedError
from lenet_edge.hardware import boards, firmware
from lenet_edge.hardware.stack_depth import StackDepth, avr, frames_of, graph, riscv, stack_depth, thumb
from lenet_edge.resources import firmware_folder

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
        ({"other": [RET]}, {}, "no function is called main"),
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
    firmware._require_stack(board, StackDepth(217, ("main", "infer"), fault=36), 253)
    with pytest.raises(CheckFailedError, match=r"and a fault 36, 1 more than the 252 .* to at least 253"):
        firmware._require_stack(board, StackDepth(217, ("main", "infer"), fault=36), 252)
    with pytest.raises(CheckFailedError, match=r"stack: main > infer takes 217 bytes, 1 more than the 216 that are"):
        firmware._require_stack(board, depth, 216)


# --- any instruction set ----------------------------------------------------------------------------


def path(functions, start=0):
    """Of (name, depth, {target: depth at its call}), numbered as they are listed."""
    made = [
        graph.Function(name, depth, tuple(graph.Call(at, to) for to, at in calls.items()))
        for name, depth, calls in functions
    ]
    found = graph.deepest(start, made.__getitem__)
    return found.bytes, found.names


def test_a_diamond_takes_its_deeper_side_and_the_depth_at_each_call():
    diamond = [("top", 8, {1: 8, 2: 4}), ("left", 16, {3: 16}), ("right", 24, {3: 2}), ("bottom", 10, {})]
    assert path(diamond) == (8 + 16 + 10, ("top", "left", "bottom"))
    diamond[2] = ("right", 24, {3: 24})
    assert path(diamond) == (4 + 24 + 10, ("top", "right", "bottom"))


def test_recursion_over_two_functions_is_no_path():
    with pytest.raises(graph.UnprovedError, match="ping may call itself: ping > pong > ping"):
        path([("ping", 8, {1: 8}), ("pong", 0, {0: 0})])


# --- Arm and RISC-V ---------------------------------------------------------------------------------


def test_an_arms_path_goes_by_the_code_where_gcc_tells_nothing():
    """8 bytes are on the stack at the first call and 16 at the second; the assembly pushes 8 and subtracts 8."""
    assembly = [PUSH_TWO, SUB_8, ADD_8, POP_TWO]
    elf = linked(
        ARM, le_reset=[PUSH_TWO, ("thin",), SUB_8, ("le_tile",), ADD_8, POP_TWO], thin=[BX_LR], le_tile=assembly
    )
    found = stack_depth(elf, {"le_reset": 16, "thin": 0})
    assert (found.bytes, found.path, found.fault) == (16 + 16, ("le_reset", "le_tile"), 36)


def test_a_riscv_path_and_its_switch():
    """What lies behind a jump by a register is in the switch; where nothing does, it is a call that nobody knows."""
    elf = linked(
        RISCV,
        le_start=[SP_DOWN, ("pick",), SP_UP, RV_RET],
        pick=[JR_A5, ("leaf",), RV_RET],
        leaf=[SP_DOWN, SP_UP, RV_RET],
    )
    assert stack_depth(elf, {"le_start": 32, "pick": 0, "leaf": 32}).bytes == 64
    alone = linked(RISCV, le_start=[JR_A5])
    assert stack_depth(alone, {"le_start": 0}).problem == "le_start calls through a pointer, nobody knows what"


@pytest.mark.parametrize(
    ("functions", "frames", "problem"),
    [
        ({"le_reset": [PUSH_TWO, ("le_reset",), POP_TWO]}, {}, "le_reset may call itself"),
        ({"le_reset": [PUSH_TWO, BLX_R3, POP_TWO]}, {}, "le_reset calls through a pointer, nobody knows what"),
        ({"le_reset": [BX_R3]}, {"le_reset": 0}, "le_reset calls through a pointer, nobody knows what"),
        ({"le_reset": [PUSH_TWO, MOV_SP, POP_TWO]}, {}, "sets the stack pointer at 0x2, nobody knows to what"),
        ({"le_reset": [PUSH_TWO, POP_TWO]}, {"le_reset": None}, "the frame of le_reset is not always the same"),
        (
            {"le_reset": [*[SUB_8] * 3, *[ADD_8] * 3, BX_LR]},
            {"le_reset": 7},
            "24 bytes in its code, and 7 as GCC tells",
        ),
        ({"le_reset": [PUSH_TWO, SUB_8, POP_TWO]}, {}, "le_reset returns with 8 bytes on the stack"),
        ({"le_reset": [PUSH_TWO, BEQ_OVER, SUB_8, LOOP]}, {}, "at 0x6 of le_reset the stack is 16 or 8 bytes deep"),
        ({"le_reset": [ADD_8, BX_LR]}, {}, "le_reset pops more at 0x0 than it pushed"),
    ],
)
def test_what_proves_nothing_on_an_arm(functions, frames, problem):
    found = stack_depth(linked(ARM, **functions), frames)
    assert found.bytes is None
    assert problem in found.problem


# As a Cortex-M0 returns where arguments lie on the stack above the return address.
RETURNS = [SUB_8, PUSH_ALL, ("leaf",), POP_ALL, POP_R3, ADD_8, BX_R3]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (RETURNS, ""),
        ([SUB_8, PUSH_ALL, PUSH_TWO, ("leaf",), ADD_8, *RETURNS[3:]], ""),  # LR is another register's by then
        ([*RETURNS[:5], NOP, *RETURNS[5:]], "le_reset calls through a pointer, nobody knows what"),  # may change r3
        ([SUB_8, PUSH_ALL, POP_R3, POP_ALL, ADD_8, BX_R3], "le_reset calls through a pointer, nobody knows what"),
        ([*RETURNS[:3], POP_ALL, BEQ_OVER, POP_R3, ADD_8, BX_R3], "the stack is 8 or 12 bytes deep"),
        ([PUSH_TWO, ADD_8, *RETURNS], "le_reset calls through a pointer, nobody knows what"),
        ([SUB_8, BEQ_OVER + 4, *RETURNS[1:]], "le_reset calls through a pointer, nobody knows what"),  # to ADD_8
        ([("leaf",), *RETURNS], "le_reset calls through a pointer, nobody knows what"),  # LR is not the return address
        (
            [*RETURNS[:3], 0xD003, *RETURNS[3:], MOV_SP, 0xE7FB],  # BEQ to MOV_SP; B to ADD_8, with anything in r3
            "le_reset calls through a pointer, nobody knows what",
        ),
    ],
)
def test_an_arm_returns_by_the_register_that_got_what_was_lr(words, problem):
    """8 bytes of arguments and six registers; what else the stack has may go to r3 without being a return."""
    found = stack_depth(linked(ARM, le_reset=words, leaf=[BX_LR]), {"le_reset": 40, "leaf": 0})
    assert problem in found.problem
    assert (found.bytes is None) == bool(problem) == bool(found.problem)


def test_a_register_sets_the_stack_pointer_in_a_frame_that_gcc_tells():
    """As on a Cortex-M0 with a large frame; GCC does not tell up to 16 bytes of arguments on the stack."""
    elf = linked(ARM, le_reset=[PUSH_TWO, MOV_SP, ("leaf",), MOV_SP, POP_TWO], leaf=[PUSH_TWO, POP_TWO])
    assert stack_depth(elf, {"le_reset": 600, "leaf": 8}).bytes == 600 + 16 + 8


@pytest.mark.parametrize(
    ("decode", "code", "pushed"),
    [
        (thumb.decode, "2de9f04f", 36),  # push.w {r4-r11, lr}
        (thumb.decode, "2ded108b", 64),  # vpush {d8-d15}
        (thumb.decode, "bdec108b", -64),  # vpop {d8-d15}
        (thumb.decode, "adf5007d", 512),  # sub.w sp, sp, #512
        (thumb.decode, "0df2044d", -1028),  # addw sp, sp, #1028
        (thumb.decode, "4df804ed", 4),  # push {lr} as str.w lr, [sp, #-4]!
        (thumb.decode, "6de90445", 16),  # strd r4, r5, [sp, #-16]!
        (thumb.decode, "bd46", None),  # mov sp, r7
        (riscv.decode, "130101f0", 256),  # addi sp, sp, -256
        (riscv.decode, "13010110", -256),  # addi sp, sp, 256
        (riscv.decode, "33015100", None),  # add sp, sp, t0
        (riscv.decode, "7111", 4),  # c.addi sp, -4
    ],
)
def test_what_an_instruction_pushes(decode, code, pushed):
    assert decode(bytes.fromhex(code), 0).pushed == pushed


def test_assembly_that_pops_by_a_counter_is_known_by_its_names():
    """The macros of tiles and groups push sums and pop them in a loop: no name of theirs may be forgotten."""
    sources = [path.read_text(encoding="utf-8") for path in (firmware_folder() / "kernels/avr").glob("*.S")]
    names = [name for text in sources for name in re.findall(r"^LE_(?:TILE|MATRIX) (\w+)", text, re.M)]
    assert {"le_tile_5_connected_double_avr_s8", "le_groups_four_avr_s8"} <= set(names)
    assert not [name for name in names if not avr._POPS_BY_COUNT.fullmatch(name)]
