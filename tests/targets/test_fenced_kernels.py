"""The kernels for MVE touch nothing but their buffers, keep the registers of their callers, and give the same integers.

Each case runs on QEMU's mps3-an547 between fences of its MPU, interrupted all the time; fenced/fenced.c says how.
"""

from __future__ import annotations

from collections import Counter

import fenced_cases
import pytest
import workbench

from lenet_edge.formats.c_source.tables import is_divisible

CASES = {
    "one": fenced_cases.one_channel,
    "columns": fenced_cases.columns,
    "matrices": fenced_cases.matrices,
    "patches": fenced_cases.patches,
    "depthwise": fenced_cases.depthwise,
    "pairs": fenced_cases.pairs,
    "few": fenced_cases.few,
}
VALUES, CANARY, REGISTER = 1, 2, 4  # as fenced.c adds them up

# What a kernel must not do, behind the calls of a first case that does all else right: what is then found.
BREAKS = {
    "reads behind the input": ("(void)*(const volatile int8_t *)(input + 11 * 12);", "fault"),
    "reads before the input": ("(void)*(const volatile int8_t *)(input - 1);", "fault"),
    "writes to the input": ("*(volatile int8_t *)(uintptr_t)input = 1;", "fault"),
    "writes before scratch": ("scratch[-1] = 1;", "fault"),
    "reads behind its table": ("(void)*(const volatile uint32_t *)ARENA_END(0);", "fault"),
    "writes next to the output": ("if (((uintptr_t)output & 31) != 0) output[-1] = 1; else output[24] = 1;", CANARY),
    "gives another value": ("output[7] ^= 1;", VALUES),
    "loses q4": ('__asm__ volatile("vmov.i8 q4, #1");', REGISTER),
    "loses r9": ('__asm__ volatile("mov r9, #1");', REGISTER),
    "stays in a tail-predicated loop": ('__asm__ volatile("dlstp.8 lr, %0" ::"r"(64) : "lr");', "fault"),
}


@pytest.fixture(scope="module", params=[True, False], ids=["tie-free", "double rounding"])
def written(request, tmp_path_factory):
    """(folder with the sources, all cases, their kernels)."""
    folder = tmp_path_factory.mktemp("fenced")
    cases = [case for make in CASES.values() for case in make(tie_free=request.param)]
    return folder, cases, fenced_cases.write(cases, folder)


@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
def test_kernels_stay_between_the_fences(toolchain, written):
    workbench.need(fenced_cases.BOARD, toolchain, "qemu")
    folder, cases, _ = written
    code, said = fenced_cases.run(fenced_cases.build(folder, toolchain))
    assert [cases[index].name for index in said.get("failed case", []) + said.get("fault in case", [])] == [], said
    assert code == 0
    assert said["images"] == [fenced_cases.IMAGES * len(cases)]
    assert said["ticks"][0] > 100


def test_each_kernel_has_cases(written):
    found = Counter(written[2])
    assert min(found.values()) >= 15
    assert sum(name.startswith("mve depthwise") for name in found) == (3 if is_divisible(written[1][0].model) else 2)
    assert sum(not name.startswith("mve depthwise") for name in found) == len(CASES) - 1


@pytest.mark.parametrize("broken", BREAKS)
def test_the_fences_hold(broken, tmp_path):
    workbench.need(fenced_cases.BOARD, "gcc", "qemu")
    statement, expected = BREAKS[broken]
    case = next(fenced_cases.one_channel())
    assert (case.step.input.shape, case.step.output.shape) == ((11, 12, 1), (3, 4, 2))
    fenced_cases.write([case], tmp_path)
    source = (tmp_path / "cases.c").read_text()
    (tmp_path / "cases.c").write_text(source.replace("\n}\n", f"\n    {statement}\n}}\n", 1))
    code, said = fenced_cases.run(fenced_cases.build(tmp_path, "gcc"))
    assert code == 1
    assert ("fault in case" in said) == (expected == "fault"), said
    assert expected == "fault" or said["of kind"] == [expected]
