"""The kernels for x86-64 give the reference's integers, with AVX2 and with the SSE2 that every x86-64 has."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import idx_files
import kernel_models
import numpy as np
import objects
import pytest
import sample_models
from x86_models import MODELS

from lenet_edge.engines import ENGINES, host_c
from lenet_edge.formats import c_source, tflite
from lenet_edge.quantized import reference
from lenet_edge.records import write_artefact

pytestmark = [
    pytest.mark.skipif(host_c.FAMILY != "x86", reason="a machine with x86-64 is missing"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is missing"),
]

FIRMWARE = Path(__file__).parents[2] / "firmware"
IMAGES = 120  # of each model
INSTRUCTION_SETS = {  # as the kernel of the system names them: an option that has GCC use them
    "avx2": "-mavx2",
    "sse2": "-march=x86-64",
    "avx_vnni": "-mavxvnni",
    "avx512_vnni": "-march=icelake-server",
}
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Wshadow", "-Wcast-qual", "-Werror"]
# zig's objects are linked by gcc: a C library of zig's own would be built for each instruction set, for minutes.
ZIG = (sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu", "-fno-sanitize=undefined")
CLANG = [("clang",), ZIG]

# Images on standard input, logits on standard output. Both lie in blocks of just their size, an odd address each.
HARNESS = """
#include <stdio.h>
#include <stdlib.h>
#include "le_model.h"

#ifndef LE_OUTPUTS
#define LE_OUTPUTS LE_CLASSES
#endif

int main(void)
{
    int8_t *const image = (int8_t *)malloc(LE_INPUT_BYTES + 1) + 1;
    int8_t *const logits = (int8_t *)malloc(LE_OUTPUTS + 1) + 1;
    le_workspace *const workspace = (le_workspace *)malloc(sizeof *workspace);
    while (fread(image, 1, LE_INPUT_BYTES, stdin) == LE_INPUT_BYTES) {
        le_infer_with(workspace, image, logits);
        fwrite(logits, 1, LE_OUTPUTS, stdout);
    }
    free(image - 1);
    free(logits - 1);
    free(workspace);
    return 0;
}
"""


def can_run(instructions):
    return instructions == "sse2" or instructions in Path("/proc/cpuinfo").read_text().split()


def export(model, folder):
    write_artefact(
        folder,
        c_source.export(c_source.make_plan(model, "x86"), FIRMWARE),
        model.fingerprint,
        **c_source.facts(c_source.make_plan(model, "x86")),
    )
    return folder


def logits_of(folder, model, images, cache, *command):
    """The logits of a program that this command compiles, with kernels that other programs may have, too."""
    (folder / "harness.c").write_text(HARNESS)
    program, compiler = folder / "program", (*command, "-std=c99", *WARNINGS)
    parts = [objects.compiled(source, compiler, cache) for source in sorted(folder.glob("*.c"))]
    linker = ("gcc",) if command[: len(ZIG)] == ZIG else command
    linked = subprocess.run([*linker, *map(str, parts), "-o", str(program)], capture_output=True, timeout=300)
    assert linked.returncode == 0, linked.stderr.decode()[-3000:]
    ran = subprocess.run([str(program)], input=images.tobytes(), capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr.decode()[-3000:]
    return np.frombuffer(ran.stdout, np.int8).reshape(len(images), -1)


def check(folder, name, count, cache, *command, instructions):
    if not can_run(instructions):
        pytest.skip(f"a processor with {instructions} is missing")
    model = MODELS[name]()
    images = kernel_models.images(model, count)
    found = logits_of(export(model, folder), model, images, cache, *command)
    np.testing.assert_array_equal(found, reference.run(model, images).reshape(len(images), -1))


SOME = ["lenet5", "wide", "wide ordinary", "extremes", "extremes ordinary", "depthwise 0", "depthwise ordinary 1"]
ALL = [
    (instructions, name) for instructions in INSTRUCTION_SETS for name in (MODELS if instructions == "avx2" else SOME)
]
ALL += [("avx512_vnni", name) for name in ("padded 0", "padded 1", "lenet-like 5")]  # its own convolutions


@pytest.mark.parametrize(("instructions", "name"), ALL)
def test_logits_are_the_emulators(instructions, name, tmp_path, object_cache):
    check(tmp_path, name, IMAGES, object_cache, "gcc", "-O2", INSTRUCTION_SETS[instructions], instructions=instructions)


@pytest.mark.parametrize(
    "name",
    [
        *("lenet5", "extremes", "wide", "wide ordinary", "depthwise 1", "depthwise ordinary 2"),
        *(f"lenet-like {seed}" for seed in (2, 5, 18)),
    ],
)
@pytest.mark.parametrize("instructions", INSTRUCTION_SETS)
def test_nothing_outside_is_touched(instructions, name, tmp_path, object_cache):
    sanitize = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    check(tmp_path, name, 12, object_cache, "gcc", INSTRUCTION_SETS[instructions], *sanitize, instructions=instructions)


@pytest.mark.parametrize("compiler", CLANG, ids=["clang", "zig"])
@pytest.mark.parametrize("instructions", INSTRUCTION_SETS)
def test_other_compilers(compiler, instructions, tmp_path, object_cache):
    if shutil.which(compiler[0]) is None:
        pytest.skip("clang is missing")
    if "ziglang" in compiler:
        pytest.importorskip("ziglang")
    option = INSTRUCTION_SETS[instructions]
    if "ziglang" in compiler:
        option = option.replace("x86-64", "x86_64").replace("icelake-server", "icelake_server")
    for name in ("depthwise ordinary 1", "lenet5"):
        check(tmp_path / name, name, IMAGES, object_cache, *compiler, "-O2", option, instructions=instructions)


def test_without_sse2_the_compiler_says_what_to_do(tmp_path):
    folder = export(sample_models.lenet5(51), tmp_path)
    argv = ["gcc", "-mno-sse2", "-fsyntax-only", str(folder / "le_fully_connected_x86.c")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "export the model with --kernels plain" in done.stderr


# --- the engine, and bench --host -----------------------------------------------------------------------


def test_the_engine_is_listed_and_takes_these_kernels(tmp_path, monkeypatch):
    model = sample_models.lenet5(51)
    images = kernel_models.images(model, 20)
    folder = export(model, tmp_path)
    assert ENGINES["host_c-x86"].artefact == "c-x86"
    for compiler in (None, "gcc -mno-avx2", "gcc -march=x86-64"):  # the fastest of this processor, then fewer
        if compiler is None:
            monkeypatch.delenv("CC", raising=False)
        else:
            monkeypatch.setenv("CC", compiler)
        np.testing.assert_array_equal(ENGINES["host_c-x86"].run(folder, images), reference.run(model, images))


def bench(*arguments, cwd):
    argv = [sys.executable, "-m", "lenet_edge", "bench", *map(str, arguments)]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=300)


def test_bench_host(tmp_path):
    model = sample_models.lenet5(51)
    (tmp_path / "model.tflite").write_bytes(tflite.to_bytes(model))
    data = idx_files.write_folder(tmp_path / "data", idx_files.small_arrays())
    arguments = ("--host", "--model", tmp_path / "model.tflite", "--data", data, "--images", 2)
    done = bench(*arguments, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["fingerprint"], found["images"], found["threads"]) == (model.fingerprint, 2, 1)
    assert [run["name"] for run in found["runs"]] == ["c-plain", "c-x86", "litert-xnnpack"]
    assert all(0 < run["ns"] <= run["median_ns"] for run in found["runs"])
    names = {"avx512_vnni": "AVX-512 VNNI", "avx_vnni": "AVX-VNNI", "avx2": "AVX2", "sse2": "SSE2"}
    assert found["runs"][1]["compiled_for"] == next(said for name, said in names.items() if can_run(name))
    assert found["runs"][2]["ns"] / found["runs"][1]["ns"] == pytest.approx(found["ratio"], rel=0.01)
    assert found["invocation_ns"] > 0
    assert {"cpu", "compiler", "litert", "rounds"} <= found.keys()
    shown = bench(*arguments, cwd=tmp_path).stdout
    assert "XNNPACK takes" in shown
    assert "c-plain" in shown


@pytest.mark.parametrize(
    "arguments", [(), ("--host", "--board", "microbit"), ("--host", "--compare", "x"), ("--host", "--emulator", "qemu")]
)
def test_bench_wants_a_board_or_the_host(arguments, tmp_path):
    done = bench(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "--board" in done.stderr
