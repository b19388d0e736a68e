"""The kernels for AArch64 give the reference's integers, with and without the dot product, and touch nothing else.

They run in QEMU: no test here ran on an AArch64 machine. GCC and zig's clang compile them.
"""

from __future__ import annotations

import subprocess

import kernel_models
import neon_programs
import numpy as np
import pytest
import sample_models
import x86_models
from c_programs import FIRMWARE, STRICT_CPP, refusal, run
from random_chains import Chain
from written_trees import write

from lenet_edge.engines import host_c
from lenet_edge.formats import c_source
from lenet_edge.quantized import reference
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q

pytestmark = pytest.mark.skipif(neon_programs.missing() != "", reason=neon_programs.missing())

IMAGES = 16
FULL = (-128, 127)


def in_place(tie_free):
    """Windows that are whole registers and never hang over an edge: kernels read the tensors themselves."""
    chain = Chain(8, (6, 7, 32), tie_free=tie_free).conv(48, (1, 1), clamp=FULL).depthwise(1, (3, 3), clamp=FULL)
    return chain.conv(20, (2, 3), clamp=FULL).pool((2, 2)).build()


def large_pool(tie_free):
    """More positions in a pooling window than the kernels take at once, and a window of 3 x 3 x 3."""
    return Chain(9, (14, 15, 3), tie_free=tie_free).conv(13, (3, 3), padding="same", clamp=FULL).pool((3, 3)).build()


SEEDS = {"lenet-like": range(8), "depthwise": range(3), "ordinary depthwise": range(4), "ordinary": range(4)}
SHARED = {
    *(f"{name} {seed}" for name, seeds in SEEDS.items() for seed in seeds),
    *(name for name in x86_models.MODELS if name not in kernel_models.MODELS),
    *("lenet5", "extremes", "ordinary extremes"),
}
MODELS = {
    **{name: make for name, make in x86_models.MODELS.items() if name in SHARED},
    **x86_models.SINGLE_LAYERS,
    **{f"in place {grid}": (lambda grid=grid: in_place(grid == "tie-free")) for grid in ("tie-free", "ordinary")},
    **{f"large pool {grid}": (lambda grid=grid: large_pool(grid == "tie-free")) for grid in ("tie-free", "ordinary")},
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """For each compiler and instruction set a program with all models."""
    return neon_programs.build({name: make() for name, make in MODELS.items()}, tmp_path_factory.mktemp("neon"))


@pytest.fixture(scope="module")
def expected():
    """Model -> its images, and the reference's logits."""
    found = {}
    for name, make in MODELS.items():
        model = make()
        images = kernel_models.images(model, IMAGES)
        found[name] = images, reference.run(model, images).reshape(len(images), -1)
    return found


@pytest.mark.parametrize("compiler", neon_programs.COMPILERS)
def test_logits_are_the_references(compiler, programs, expected):
    program, wrong = programs[compiler], {}
    for name, (images, logits) in expected.items():
        if differ := int(np.count_nonzero(program.logits(name, images) != logits)):
            wrong[name] = differ
    assert wrong == {}


def test_the_models_have_every_kernel_and_every_number_of_products_that_fit_an_int16():
    texts, kernels = "", set()
    for make in MODELS.values():
        plan = c_source.make_plan(make(), "neon")
        texts += "".join(placed.kernel.definitions for placed in plan.steps)
        kernels |= {placed.kernel.name for placed in plan.steps}
    assert kernels >= {"neon rows", "neon packed", "neon matrix", "neon depthwise"}
    for together in (1, 2, 4):
        assert f", {together}, step" in texts or f", {together}, layer" in texts


@pytest.mark.parametrize("instructions", ["generic", "generic+dotprod"])
def test_they_compile_as_cpp(instructions, tmp_path):
    folder = write(tmp_path / "c", c_source.export(c_source.make_plan(MODELS["wide"](), "neon"), FIRMWARE))
    compiler = [part if part != "cc" else "c++" for part in neon_programs.ZIG]
    for source in folder.glob("*_neon.c"):
        run(*compiler, f"-mcpu={instructions}", *STRICT_CPP, "-c", source, "-o", tmp_path / "object.o")


# --- from sums to int8 ------------------------------------------------------------------------------

# Off the grid: every threshold and what is around it, then random ones; on it: around every tie of the ideal result.
ROUNDING = r"""
#include <stdio.h>
#include "le_neon.h"

static uint64_t state = 1;

static uint32_t drawn(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}

static int64_t twice_rounded(int32_t n, int32_t m, int shift)
{
    const int64_t high = ((int64_t)n * m + ((int64_t)1 << 30)) >> 31;
    const int64_t mask = ((int64_t)1 << shift) - 1, threshold = (mask >> 1) + (high < 0);
    return (high >> shift) + ((high & mask) > threshold);
}

static int8_t placed(int64_t result, int zero_point, int low, int high)
{
    const int64_t at = result + zero_point;
    return (int8_t)(at < low ? low : at > high ? high : at);
}

static int check(const int32_t n[8], const le_neon_requantization *to, const int8_t expected[8])
{
    const int whole = to->shift != NULL;
    int8_t found[8];
    const int32x4_t low = le_neon_results(vld1q_s32(n), to, 0, whole);
    const int32x4_t high = le_neon_results(vld1q_s32(n + 4), to, 4, whole);
    le_neon_store(found, le_neon_placed(low, high, to, whole), 8);
    for (int i = 0; i < 8; i++) {
        if (found[i] != expected[i]) {
            printf("%d * %d, %d: ", n[i], to->multiplier[i], whole ? to->shift[i] : 0);
            printf("%d, not %d\n", found[i], expected[i]);
            return 1;
        }
    }
    return 0;
}

static int ordinary(void)
{
    const int32_t multipliers[] = {0, 1 << 30, (1 << 30) + 1, 3 << 29, 0x60000001, INT32_MAX};
    const int32_t extremes[] = {INT32_MIN, INT32_MIN + 1, INT32_MAX, INT32_MAX - 1, -1, 0, 1, 2};
    int32_t n[8], m[8], shift[8];
    int8_t expected[8];
    for (int pass = 0; pass < 100000; pass++) {
        const int z = (int)(drawn() % 256) - 128, low = pass % 5 ? -128 : -100, high = pass % 7 ? 127 : 50;
        const le_neon_requantization to = {n, m, shift, (int16_t)z, (int16_t)low, (int16_t)high};
        for (int i = 0; i < 8; i++) {
            const int32_t fixed = multipliers[drawn() % 6], middle = (1 << 30) | (int32_t)(drawn() >> 2);
            const int right = (int)(pass < 4000 ? drawn() % 32 : drawn() % 14);
            m[i] = pass % 3 == 0 ? fixed : middle;
            shift[i] = -right;
            const int64_t step = m[i] ? ((int64_t)1 << (30 + right)) / m[i] : 0; /* half an output */
            const int64_t near = step * ((int32_t)(drawn() % 601) - 300) + (int32_t)(drawn() % 5) - 2;
            n[i] = pass % 16 == 0 ? extremes[drawn() % 8] : pass % 16 == 1 ? (int32_t)drawn() : (int32_t)near;
            expected[i] = placed(twice_rounded(n[i], m[i], right), z, low, high);
        }
        if (check(n, &to, expected)) {
            return 1;
        }
    }
    return 0;
}

/* n is k with q times the zero point in it. */
static int tie_free(int32_t q, int32_t multiplier)
{
    const int32_t largest = 1 << 30, ends[] = {-largest, largest, -(1 << 24), 1 << 24};
    int32_t n[8], m[8];
    int8_t expected[8];
    const le_neon_requantization to = {n, m, NULL, 0, -128, 127};
    for (int32_t result = -300; result <= 304; result += 4) {
        for (int i = 0; i < 8; i++) {
            m[i] = multiplier;
            n[i] = (result + i / 2) * q + (i % 2 ? q / 2 : -(q / 2)); /* the first and the last of this result */
            if (result > 300) {
                n[i] = ends[i / 2];
            }
            const int64_t exact = 2 * (int64_t)n[i] + q; /* round(n / q) = floor(exact / 2q) */
            const int64_t down = exact / (2 * q) - (exact % (2 * q) < 0);
            expected[i] = placed(down, 0, -128, 127);
        }
        if (check(n, &to, expected)) {
            return 1;
        }
    }
    return 0;
}

int main(void)
{
    int32_t q, multiplier;
    while (scanf("%d %d", &q, &multiplier) == 2) {
        if (tie_free(q, multiplier)) {
            return 1;
        }
    }
    return ordinary();
}
"""


def test_both_roundings_for_every_threshold(tmp_path):
    (tmp_path / "check.c").write_text(ROUNDING)
    folders = [f"-I{FIRMWARE / 'kernels' / folder}" for folder in ("shared", "neon")]
    program = tmp_path / "check"
    run(neon_programs.GCC, "-std=c99", "-O2", "-static", *folders, tmp_path / "check.c", "-o", program)
    given = "".join(f"{q} {min((2**32 // q + 1) // 2, 2**31 - 1)}\n" for q in ADMISSIBLE_Q)
    ran = subprocess.run([neon_programs.QEMU, str(program)], input=given, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.skipif(host_c.FAMILY == "neon", reason="another processor is missing")
def test_another_processor_is_told_what_to_do(tmp_path):
    folder = write(tmp_path / "c", c_source.export(c_source.make_plan(sample_models.lenet5(51), "neon"), FIRMWARE))
    said = refusal("gcc", "-fsyntax-only", folder / "le_fully_connected_neon.c")
    assert "export the model with --kernels plain" in said
