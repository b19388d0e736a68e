"""The conformance kit on every engine, and its harnesses as their user has them: from C, and from Python without us."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from lenet_edge.conformance import Case, cases
from lenet_edge.conformance.kit import expected, kit_files
from lenet_edge.conformance.runs import run_engine
from lenet_edge.engines import ENGINES, Engine
from lenet_edge.files import write_files

FEW = ("conv-3x3-same-stride-2", "matrix-ties-large-q", "add-relu", "network-two-outputs")
ON_BOARDS = ("conv-ties-5x5", "conv-3x3-same-stride-2", "depthwise-ties-5x5", "matrix-ties-small-q", "network-residual")
BOARDS = ("board:mps2-an386/unicorn", "board:riscv-virt/unicorn")

CFLAGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Wshadow", "-Wcast-qual", "-Werror"]
CFLAGS += ["-Wstrict-prototypes", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
RUNTIME_C = r"""
#include "conformance.h"
#include <stdio.h>
#include <string.h>

/* Not a runtime: it knows the answers. what it does in the case add-relu, with input 2, is put in below. */
int conformance_infer(const conformance_case *item, const int8_t *input, int8_t *output)
{
    static unsigned long calls, last;
    char path[512];
    calls = item->number == last ? calls + 1 : 1;
    last = item->number;
    snprintf(path, sizeof path, "%.*sexpected.bin", (int)(strrchr(item->tflite, '/') + 1 - item->tflite), item->tflite);
    FILE *file = fopen(path, "rb");
    fseek(file, (long)((calls - 1) * item->output_bytes), SEEK_SET);
    const size_t got = fread(output, 1, item->output_bytes, file);
    fclose(file);
    (void)input;
    if (strcmp(item->name, "add-relu") == 0 && calls == 3) {
        @@
    }
    return got != item->output_bytes;
}
"""


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """The folder with a few cases."""
    folder = tmp_path_factory.mktemp("conformance") / "kit"
    write_files(folder, kit_files([case for case in cases() if case.name in FEW]))
    return folder


def test_every_engine_is_right(tmp_path, run_cli):
    done = run_cli("conformance", "--run", "all", "--json", cwd=tmp_path)
    assert done.code == 0, done.stderr
    found = {engine["engine"]: engine for engine in done.json["engines"]}
    assert set(found) == set(ENGINES) - {"pytorch"}
    ran = [engine for engine in found.values() if engine["status"] == "ran"]
    assert {(engine["right"], len(engine["findings"])) for engine in ran} == {(done.json["cases"], 0)}
    assert {"tflm", "litert-xnnpack", "litert-builtin", "litert-reference", "onnxruntime", "host_c"} <= {
        engine["engine"] for engine in ran
    }
    assert not list(tmp_path.glob("build*"))


def test_boards_are_right(tmp_path, run_cli):
    chosen = [part for name in ON_BOARDS for part in ("--case", name)]
    runs = [part for name in BOARDS for part in ("--run", name)]
    done = run_cli("conformance", *runs, *chosen, "--json", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert [(engine["engine"], engine["right"]) for engine in done.json["engines"]] == [
        (board, len(ON_BOARDS)) for board in BOARDS
    ]


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (";", 0, "4 cases right, 0 wrong, 0 not supported"),
        ("output[5] ^= 1;", 1, "add-relu: input 2, output 5: expected "),
        ("return 7;", 1, "add-relu: input 2: failed with 7"),
        ("return CONFORMANCE_UNSUPPORTED;", 1, "add-relu: input 2: failed with 1"),  # not in the middle
    ],
)
def test_the_harness_in_c(fault, code, said, kit, tmp_path):
    (tmp_path / "runtime.c").write_text(RUNTIME_C.replace("@@", fault))
    sources = [kit / "conformance.c", tmp_path / "runtime.c"]
    subprocess.run([shutil.which("gcc"), *CFLAGS, f"-I{kit}", *sources, "-o", tmp_path / "kit"], check=True, timeout=60)
    done = subprocess.run([tmp_path / "kit", kit], capture_output=True, text=True, timeout=60)
    assert (done.returncode, said in done.stdout) == (code, True), done
    one = subprocess.run([tmp_path / "kit", kit, "conv-3x3-same-stride-2"], capture_output=True, text=True, timeout=60)
    assert (one.returncode, one.stdout) == (0, "1 cases right, 0 wrong, 0 not supported\n")
    assert subprocess.run([tmp_path / "kit", tmp_path], capture_output=True, timeout=60).returncode == 2
    (tmp_path / "cases.txt").write_text("conv-3x3-same-stride-2 64")  # a copy that was cut
    assert subprocess.run([tmp_path / "kit", tmp_path], capture_output=True, timeout=60).returncode == 2


PYTHON = """
import numpy as np
from conformance import Unsupported, onnxruntime

def infer(case, inputs):
    right = np.fromfile(case.folder / "expected.bin", np.int8).reshape(len(inputs), -1)
    assert [part.shape[1:] for part in case.split(inputs)] == list(case.inputs)
    if case.name == "add-relu":
        {fault}
    return right
"""


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("pass", 0, "4 right, 0 wrong, 0 failed, 0 unsupported"),
        ("right[3, 4] ^= 1", 1, "add-relu: wrong: 1 of 65536 integers differ; input 3, output 4: expected "),
        ("raise Unsupported('no ADD')", 0, "add-relu: unsupported: no ADD"),
        ("raise ValueError('oh')", 1, "add-relu: failed: ValueError: oh"),
        ("raise SystemExit(0)", 1, "add-relu: failed: SystemExit: 0"),
        ("return right[:, 1:]", 1, "add-relu: failed: it gave int8[64, 1023], not int8[64, 1024]"),
    ],
)
def test_the_harness_in_python(fault, code, said, kit, tmp_path):
    (tmp_path / "mine.py").write_text(PYTHON.format(fault=fault))
    argv = [sys.executable, kit / "conformance.py", "mine:infer"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, said in done.stdout) == (code, True), done


@pytest.mark.parametrize(
    ("runtime", "harm", "said"),
    [
        ("nothing", lambda _: None, "there is no adapter 'nothing'"),
        ("nothing:infer", lambda _: None, "No module named 'nothing'"),
        ("onnxruntime", lambda copy: (copy / "cases.json").unlink(), "No such file"),
        ("onnxruntime", lambda copy: os.truncate(copy / "cases/add-relu/inputs.bin", 64), "has not 131072 bytes"),
        ("onnxruntime", lambda copy: (copy / "cases/add-relu/expected.bin").unlink(), "cannot be read"),
    ],
)
def test_what_the_harness_cannot_use(runtime, harm, said, kit, tmp_path):
    """Exit code 2: that nothing was compared must not look like a difference."""
    copy = shutil.copytree(kit, tmp_path / "copy")
    harm(copy)
    argv = [sys.executable, copy / "conformance.py", runtime, "add-relu"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, said in done.stderr) == (2, True), done


@pytest.mark.parametrize("runtime", ["litert", "tflm", "onnxruntime", "onnx-reference"])
def test_the_adapters(runtime, kit):
    argv = [sys.executable, kit / "conformance.py", runtime, "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert (done.returncode, json.loads(done.stdout)["right"]) == (0, len(FEW)), done


class Wrong:
    """An engine that gets a model instead of a file, knows the right integers, and changes some."""

    def __init__(self, known: dict[str, Case]) -> None:
        self.known = known

    @contextmanager
    def files(self, model):
        yield model

    def run(self, model, inputs):
        names = [name for name, case in self.known.items() if case.model.layers[-1] in model.layers]
        if "add-relu" in names:
            raise ValueError("oh")
        parts = [expected(self.known[name]).copy() for name in names]
        for name, part in zip(names, parts, strict=True):
            part[1, 2] += name == "conv-3x3-same-stride-2"
        return np.concatenate(parts, axis=1)


def test_what_is_wrong_is_named():
    """Beside others, and alone from its own file; what a runtime raises is its failure."""
    known = {case.name: case for case in cases() if case.name in FEW}
    mine = Wrong(known)
    engine = Engine("tflite", mine.run, lambda path, image: ({}, image), lambda: "1", lambda: "")
    result = run_engine("mine", engine, list(known.values()), mine.files, at_once=4)
    wrong, failed = result.findings
    assert (result.right, result.passed) == (2, False)
    right = expected(known["conv-3x3-same-stride-2"])
    assert (wrong.case, wrong.differ, wrong.outputs) == ("conv-3x3-same-stride-2", 1, right.size)
    assert (wrong.input, wrong.output, wrong.got - wrong.expected) == (1, 2, 1)
    assert (failed.case, failed.message) == ("add-relu", "ValueError: oh")
    assert result.outputs == sum(expected(case).size for name, case in known.items() if name != "add-relu")
