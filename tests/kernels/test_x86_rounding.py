"""TFLM's requantisation in registers gives that of the plain C, for any accumulator, multiplier and shift."""

from __future__ import annotations

import subprocess

import pytest
from test_x86_kernels import FIRMWARE, INSTRUCTION_SETS, WARNINGS, can_run, pytestmark  # noqa: F401

# Every threshold of a channel and the accumulators around it, then random ones; shifts 0 to 31, multipliers with ties.
CHECK = r"""
#include <stdio.h>
#include "le_x86.h"

static uint64_t state = 1;

static uint32_t drawn(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}

static int32_t expected(int32_t n, int32_t m, int shift)
{
    const int64_t high = ((int64_t)n * m + ((int64_t)1 << 30)) >> 31;
    const int64_t mask = ((int64_t)1 << shift) - 1, threshold = (mask >> 1) + (high < 0);
    return (int32_t)((high >> shift) + ((high & mask) > threshold));
}

static int wrong(const int32_t *n, const int32_t *m, const int32_t *shift)
{
    const size_t lanes = sizeof(le_words) / sizeof(int32_t);
    int32_t found[8];
    le_store_words(found, le_rounded(le_load_words(n), le_load_words(m), le_load_words(shift)));
    for (size_t i = 0; i < lanes; i++) {
        if (found[i] != expected(n[i], m[i], shift[i])) {
            printf("%d * %d >> 31 + %d: %d\n", n[i], m[i], shift[i], found[i]);
            return 1;
        }
    }
    return 0;
}

int main(void)
{
    const int32_t multipliers[] = {0, 1 << 30, (1 << 30) + 1, 3 << 29, 0x60000001, INT32_MAX};
    const int32_t extremes[] = {INT32_MIN, INT32_MIN + 1, INT32_MAX, INT32_MAX - 1, -1, 0, 1, 2};
    int32_t n[8], m[8], shift[8];
    for (int pass = 0; pass < 400000; pass++) {
        for (int i = 0; i < 8; i++) {
            const int32_t fixed = multipliers[drawn() % 6], middle = (1 << 30) | (int32_t)(drawn() >> 2);
            m[i] = pass % 3 == 0 ? fixed : middle;
            shift[i] = pass < 4000 ? (int32_t)(drawn() % 32) : (int32_t)(drawn() % 14);
            const int64_t step = m[i] ? ((int64_t)1 << (30 + shift[i])) / m[i] : 0; /* half an output */
            const int64_t near = step * ((int32_t)(drawn() % 601) - 300) + (int32_t)(drawn() % 5) - 2;
            n[i] = pass % 16 == 0 ? extremes[drawn() % 8] : pass % 16 == 1 ? (int32_t)drawn() : (int32_t)near;
        }
        if (wrong(n, m, shift)) {
            return 1;
        }
    }
    return 0;
}
"""


@pytest.mark.parametrize("instructions", INSTRUCTION_SETS)
def test_rounding_is_the_plain_c_s(instructions, tmp_path):
    if not can_run(instructions):
        pytest.skip(f"a processor with {instructions} is missing")
    (tmp_path / "check.c").write_text(CHECK)
    folders = [f"-I{FIRMWARE / 'kernels' / folder}" for folder in ("shared", "x86")]
    flags = ["-std=c99", "-O2", *INSTRUCTION_SETS[instructions].split(), *WARNINGS, *folders]
    argv = ["gcc", *flags, "check.c", "-o", "check"]
    built = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([str(tmp_path / "check")], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout
