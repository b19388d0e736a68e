"""The stack was proved from less than the code does: an AVR's static functions of one name, copies of functions, an
assembly's second way out, calls within the compiler's library; jumps that were taken to stay in their function."""

from __future__ import annotations

import pytest
from linked_code import (
    ADD_8,
    ARM,
    CALL,
    ICALL,
    JMP,
    JR_A5,
    POP,
    POP_TWO,
    PUSH,
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

from lenet_edge.hardware.stack_depth import frames_of, stack_depth

DEEP, FLAT = [*[PUSH] * 4, *[POP] * 4, RET], [RET]
MAIN = {"main": 2}
BRNE_4, OUT_SPL, EIJMP = 0xF421, 0xBFCD, 0x9419  # BRNE over four words; OUT SPL, r28 (AVR Instruction Set Manual)
# Armv7-M ARM, A7.7: MOV pc, r3; MOV r2, lr; BX r2; MSR MSP, r0; B to four instructions before its function
MOV_PC, KEEP_LINK, BX_KEPT, MSR_MSP, B_SHARED = 0x469F, 0x4672, 0x4710, (0xF380, 0x8808), 0xE7F9


@pytest.mark.parametrize("first", [DEEP, FLAT])
def test_static_functions_of_one_name_are_two_on_an_avr(first):
    second = FLAT if first is DEEP else DEEP
    elf = program(**{"main": [(CALL, "pool"), (CALL, "pool#2"), RET], "pool": first, "pool#2": second})
    assert stack_depth(elf, MAIN).bytes == 2 + 2 + 4


def test_a_copy_has_the_frame_that_gcc_tells_by_another_ending(tmp_path):
    """In the code it is called ``pool.constprop.0``: its frame was taken to be what it pushes."""
    (tmp_path / "a.c.su").write_text(
        "a.c:3:5:pool.constprop\t40\tstatic\na.c:3:5:pool\t6\tstatic\na.c:5:5:sum.isra\t9\tdynamic\n"
    )
    assert frames_of(tmp_path) == {"pool": 40, "sum": None}


def test_an_assembly_with_two_ways_out_is_as_deep_as_its_deeper_one():
    way_out = [POP, POP, RET]
    elf = program(main=[(CALL, "two"), RET], two=[PUSH, PUSH, BRNE_4, *way_out, PUSH, POP, *way_out])
    assert stack_depth(elf, MAIN).bytes == 2 + 2 + 3


def test_calls_within_a_function_of_the_compilers_library_count():
    """As of __muldi3, which calls __muldi3_6: two bytes pushed, and a return address and three bytes of that one."""
    part = [PUSH, PUSH, PUSH, POP, POP, POP, RET]
    whole = [PUSH, PUSH, (CALL, "__muldi3_6"), POP, POP, RET]
    found = stack_depth(program(main=[(CALL, "__muldi3"), RET], __muldi3=whole, __muldi3_6=part), MAIN)
    assert found.bytes is not None
    assert found.bytes >= 2 + 2 + 2 + 2 + 3


def test_the_table_of_a_switch_stays_within_its_function():
    """What __tablejump2__ jumps to was unknown; all of its caller is read anyway."""
    words = [(JMP, "__tablejump2__"), (CALL, "deep"), RET]
    assert stack_depth(program(main=words, __tablejump2__=[EIJMP], deep=DEEP), MAIN).bytes == 2 + 2 + 4


@pytest.mark.parametrize(
    ("functions", "problem"),
    [
        ({"main": [(CALL, "a"), RET], "a": [OUT_SPL, RET]}, "a sets the stack pointer, nobody knows to what"),
        ({"main": [(CALL, "a"), RET], "a": [EIJMP]}, "a calls through a pointer, nobody knows what"),
        ({"main": [0xD001, RET, RET, RET]}, "main calls what is amid its own code"),  # RCALL over a word
    ],
)
def test_what_proves_nothing_on_an_avr(functions, problem):
    assert problem in stack_depth(program(**functions), MAIN).problem


def test_code_that_functions_share_is_not_of_the_function_in_front():
    """It was entered where the jump of unknown target is, as a part of the other function."""
    shared = [SUB_8, MOV_PC, ADD_8, POP_TWO]
    elf = linked(
        ARM,
        le_reset=[PUSH_TWO, ("le_nine",), POP_TWO],
        other=[PUSH_TWO, POP_TWO],
        _=shared,
        le_nine=[PUSH_TWO, B_SHARED],
    )
    found = stack_depth(elf, {"le_reset": 8, "other": 8})
    assert (found.bytes, found.problem) == (8 + 8 + 8, "")


def test_a_jump_to_nowhere_else_in_a_function_is_a_call_of_something():
    """As of a linker's veneer, which goes anywhere."""
    elf = linked(ARM, le_reset=[PUSH_TWO, ("veneer",), POP_TWO], veneer=[MOV_PC])
    assert stack_depth(elf, {"le_reset": 8}).problem == "veneer calls through a pointer, nobody knows what"


def test_an_assembly_returns_by_a_register_that_keeps_the_address():
    elf = linked(ARM, le_reset=[PUSH_TWO, ("kept",), POP_TWO], kept=[KEEP_LINK, BX_KEPT])
    assert stack_depth(elf, {"le_reset": 8}).bytes == 8
    assert "kept calls through a pointer" in stack_depth(elf, {"le_reset": 8, "kept": 0}).problem


def test_an_assembly_that_writes_the_stack_pointers_special_register():
    elf = linked(ARM, le_reset=[PUSH_TWO, *MSR_MSP, POP_TWO])
    assert "le_reset sets the stack pointer at 0x2, nobody knows to what" in stack_depth(elf, {}).problem


def test_a_switch_where_a_pointer_is_called_too():
    """On RISC-V both are jumps to a register: what is behind the switch was left out."""
    deep = [SP_DOWN, SP_UP, RV_RET]
    elf = linked(RISCV, le_start=[("answer",), RV_RET], answer=[JR_A5, ("deep",), RV_RET], hello=[RV_RET], deep=deep)
    assert stack_depth(elf, {"le_start": 0, "answer": 0, "hello": 0, "deep": 32}).bytes == 32


def test_instructions_of_zcmp_push_and_are_not_known():
    elf = linked(RISCV, le_start=[0xB842, RV_RET])  # CM.PUSH {ra}, -16
    assert "le_start has an instruction at 0x0 that nobody knows" in stack_depth(elf, {}).problem


def test_two_jumps_to_registers_are_not_both_switches():
    elf = linked(RISCV, le_start=[JR_A5, JR_A5, RV_RET])
    assert "le_start jumps at 0x0 and 0x2, nobody knows where to" in stack_depth(elf, {"le_start": 0}).problem


def test_a_function_whose_address_is_taken_and_that_no_known_pointer_has():
    """A kernel that is new in a table was called by no one; names of data do not count."""
    elf = program(main=[(CALL, "le_each_run"), RET], le_each_run=[ICALL, RET], sums=DEEP, totals=DEEP)
    frames = {"main": 2, "le_each_run": 2}
    assert stack_depth(elf, frames, {"sums", "le_stack_top"}).bytes == 2 + 2 + 2 + 4
    assert stack_depth(elf, frames, {"sums", "totals"}).problem == (
        "the address of totals is taken, and nobody knows who calls it"
    )
