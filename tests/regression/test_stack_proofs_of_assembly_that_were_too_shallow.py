"""The stack was proved to be less than it takes: assembly that goes on behind a call, or that is within C and sets the
stack pointer or pushes; an AVR's assembly that pushes in a loop; arguments that GCC's frames do not have."""

from __future__ import annotations

import pytest
from linked_code import (
    ADD_8,
    ARM,
    BX_LR,
    CALL,
    MOV_SP,
    NOP,
    POP,
    POP_TWO,
    PUSH,
    PUSH_TWO,
    RET,
    RISCV,
    RV_RET,
    SUB_8,
    linked,
    program,
)

from lenet_edge.hardware.stack_depth import stack_depth

MSR_CONTROL = (0xF380, 0x8814)  # MSR CONTROL, r0: Armv7-M ARM, B5.2.3
CM_PUSH = 0xB842  # CM.PUSH {ra}, -16
# AVR Instruction Set Manual: BRNE to one and to two words in front of it; SBRC r2, 0; RCALL .+0
BRNE_BACK, BRNE_BACK_TWO, SBRC, ALLOCATE_TWO = 0xF7F1, 0xF7E9, 0xFC20, 0xD000


def test_an_assembly_goes_on_in_the_next_function_behind_a_call():
    """It was taken to call what does not return, as C does where a call is its end."""
    elf = linked(
        ARM,
        le_reset=[PUSH_TWO, ("le_two",), POP_TWO],
        le_two=[PUSH_TWO, ("leaf",)],
        rest=[SUB_8, ADD_8, POP_TWO],
        leaf=[BX_LR],
    )
    assert stack_depth(elf, {"le_reset": 8, "leaf": 0}).bytes == 8 + 8 + 8
    assert stack_depth(elf, {"le_reset": 8, "le_two": 8, "leaf": 0}).bytes == 8 + 8


@pytest.mark.parametrize("told", [0, 8])
def test_an_assembly_within_c_that_sets_the_stack_pointer(told):
    """GCC tells 0 of a naked function, and of any other what its own code pushes."""
    elf = linked(ARM, le_reset=[PUSH_TWO, MOV_SP, MOV_SP, POP_TWO])
    assert "le_reset sets the stack pointer at 0x2" in stack_depth(elf, {"le_reset": told}).problem


def test_the_choice_of_the_stack_pointer():
    elf = linked(ARM, le_reset=[PUSH_TWO, *MSR_CONTROL, POP_TWO])
    assert "le_reset sets the stack pointer at 0x2" in stack_depth(elf, {"le_reset": 8}).problem


def test_arguments_in_registers_that_a_function_puts_on_the_stack():
    """`sub sp, #8` in front of the push is not in GCC's figure: for f(int, int, struct of 20 bytes) it tells 1,016 of
    1,024. Where the code is read it counts, and is no contradiction."""
    called = [SUB_8, PUSH_TWO, MOV_SP, ("leaf",), MOV_SP, POP_TWO]
    elf = linked(ARM, le_reset=[PUSH_TWO, ("f",), POP_TWO], f=called, leaf=[BX_LR])
    found = stack_depth(elf, {"le_reset": 8, "f": 1016, "leaf": 0})
    assert found.bytes is not None
    assert found.bytes >= 8 + 1024
    small = linked(ARM, le_reset=[SUB_8, SUB_8, ADD_8, ADD_8, BX_LR])
    assert stack_depth(small, {"le_reset": 8}).bytes == 16


def test_a_function_that_goes_on_in_an_assembly_after_a_register_set_the_stack_pointer():
    """GCC tells no frame of it, which was an error of ours (exit 70)."""
    elf = linked(ARM, le_reset=[PUSH_TWO, MOV_SP], rest=[BX_LR])
    assert "rest is entered by another function" in stack_depth(elf, {"le_reset": 600}).problem


def test_instructions_of_zcmp_where_a_pointer_is_called():
    """They passed for a call through the pointer of which something is known."""
    elf = linked(RISCV, le_start=[("answer",), RV_RET], answer=[CM_PUSH, RV_RET], hello=[RV_RET])
    problem = stack_depth(elf, {"le_start": 0, "answer": 0, "hello": 0}).problem
    assert "answer has an instruction at 0x4 that nobody knows" in problem


@pytest.mark.parametrize(
    "words",
    [
        [PUSH, NOP, BRNE_BACK_TWO, POP, RET],  # pushes in a loop
        [PUSH, SBRC, POP, PUSH, POP, POP, RET],  # may leave out a pop
        [NOP, BRNE_BACK, RET],  # does not push at all, for comparison
    ],
)
def test_an_avrs_assembly_that_may_push_more_than_from_top_to_end(words):
    found = stack_depth(program(main=[(CALL, "part"), RET], part=words), {"main": 2})
    if PUSH in words:
        assert found.problem == "part pushes in a loop, or pops what it need not have pushed"
    else:
        assert found.bytes == 4


def test_an_assembly_within_an_avrs_c_pushes():
    words = [PUSH, PUSH, ALLOCATE_TWO, POP, POP, POP, POP, RET]
    elf = program(main=[(CALL, "part"), RET], part=words)
    assert stack_depth(elf, {"main": 2, "part": 6}).bytes == 8
    assert stack_depth(elf, {"main": 2, "part": 5}).problem == (
        "part pushes more in its code than the 5 bytes that GCC tells"
    )


def test_an_avrs_loop_that_pops_what_it_pushed():
    """A pop, a push and a way back."""
    elf = program(main=[(CALL, "part"), RET], part=[PUSH, POP, PUSH, BRNE_BACK_TWO, POP, RET])
    assert stack_depth(elf, {"main": 2}).bytes == 2 + 2 + 1
