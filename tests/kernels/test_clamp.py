"""le_clamp_s8 for every pair of bounds, in the forms that Cortex-M0 and Cortex-M4 have, in QEMU's user mode."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from c_programs import FIRMWARE, run

GCC, QEMU = "arm-none-eabi-gcc", "qemu-arm"
MISSING = [tool for tool in (GCC, QEMU) if shutil.which(tool) is None]

# Any beginning, any length up to 40; values around both bounds and random ones. Linux's exit gives 0 or 1.
PROGRAM = r"""
#include "le_kernels.h"

static int is_clamped(int low, int high)
{
    static uint32_t state = 1;
    static int8_t values[64], given[64];
    const int first = (low + high) & 3, end = first + (unsigned)(7 * low + 13 * high) % 41u;
    for (int i = 0; i < 64; i++) {
        state = state * 1664525u + 1013904223u;
        const int near = (i & 1 ? low : high) + (int)(state >> 30) - 2;
        values[i] = given[i] = (int8_t)(i % 3 == 0 ? (int)(state >> 24) - 128 : near);
    }
    le_clamp_s8(values + first, (size_t)(end - first), (int8_t)low, (int8_t)high);
    for (int i = 0; i < 64; i++) {
        const int value = given[i], inside = value < low ? low : value > high ? high : value;
        if (values[i] != (i < first || i >= end ? value : inside)) {
            return 0;
        }
    }
    return 1;
}

void _start(void)
{
    int failed = 0;
    for (int low = -128; low < 128; low++) {
        for (int high = low; high < 128; high++) {
            failed |= !is_clamped(low, high);
        }
    }
    register int status __asm__("r0") = failed;
    register int exit __asm__("r7") = 1;
    __asm__ volatile("svc 0" : : "r"(status), "r"(exit));
    for (;;) {
    }
}
"""


@pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} is missing")
@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m4"])
def test_every_pair_of_bounds(cpu, tmp_path):
    (tmp_path / "clamp.c").write_text(PROGRAM)
    shared, program = FIRMWARE / "kernels" / "shared", tmp_path / "clamp"
    options = [f"-mcpu={cpu}", "-mthumb", "-mfloat-abi=soft", "-std=gnu99", "-O2", "-ffreestanding", "-nostdlib"]
    link = ["-Wl,--build-id=none", "-Wl,-Ttext=0x10000", "-lgcc", "-o", program]
    run(GCC, *options, f"-I{shared}", tmp_path / "clamp.c", shared / "le_clamp.c", *link)
    assert subprocess.run([QEMU, str(program)], timeout=60).returncode == 0
