"""Which functions' addresses compiled sources take, as the proof of the stack reads it from their relocations."""

from __future__ import annotations

import pytest
import workbench

from lenet_edge.hardware import boards
from lenet_edge.hardware import toolchain as compilers
from lenet_edge.hardware.stack_depth import taken_in

SOURCE = """
void called(void);
void passed(void);
void go(void (*to)(void));
static __attribute__((noinline)) void own(void) { called(); called(); }
static __attribute__((noinline)) void mine(void) { go(own); called(); }
extern void (*volatile chosen)(void);
void (*const table[])(void) = {passed, mine};
void begin(int which)
{
    mine();
    switch (which) {
    case 0: called(); break;
    case 1: go(passed); break;
    case 2: go(0); break;
    case 3: called(); called(); break;
    case 4: go(chosen); break;
    case 5: chosen(); called(); break;
    }
}
"""


@pytest.mark.parametrize("board", ["mps2-an386", "pico", "esp32-c3", "atmega2560"])
def test_tables_and_arguments_take_addresses_and_calls_do_not(board, tmp_path):
    workbench.need(board, "gcc")
    (tmp_path / "taken.c").write_text(SOURCE)
    compilers.compile_source(compilers.choose(boards.load(board), "gcc"), tmp_path, "taken.c", "-O2")
    functions = {"begin", "called", "go", "mine", "own", "passed"}
    assert taken_in(tmp_path) & functions == {"mine", "own", "passed"}
