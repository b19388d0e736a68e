"""`lenet-edge conformance`: what it writes, says and refuses."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from lenet_edge.conformance import cases
from lenet_edge.formats import tflite
from lenet_edge.quantized.reference import run as reference

FEW = ("--case", "conv-3x3", "--case", "add-equal")


def test_the_kit_is_complete_and_says_what_is_in_it(tmp_path, run):
    done = run("conformance", *FEW, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    folder = tmp_path / "build" / "conformance"
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert (report["files"], report["bytes"]) == (len(found), sum(map(len, found.values())))
    listed = json.loads(found["cases.json"])
    assert [case["name"] for case in listed["cases"]] == ["conv-3x3", "add-equal"]
    for case in listed["cases"]:
        for name, digest in case["sha256"].items():
            assert hashlib.sha256(found[f"cases/{case['name']}/{name}"]).hexdigest() == digest
    assert found["cases.txt"].decode().splitlines()[1] == "add-equal 64 2048 1024"
    model = tflite.read(folder / "cases" / "conv-3x3" / "model.tflite")
    assert model.fingerprint == listed["cases"][0]["fingerprint"]
    inputs = np.frombuffer(found["cases/conv-3x3/inputs.bin"], np.int8).reshape(
        64, *listed["cases"][0]["inputs"][0]["shape"]
    )
    assert reference(model, inputs).tobytes() == found["cases/conv-3x3/expected.bin"]
    run("conformance", *FEW, "--out", "again")
    assert {name: (tmp_path / "again" / name).read_bytes() for name in found} == found


def test_with_run_nothing_is_written_unless_asked(tmp_path, run):
    done = run("conformance", *FEW, "--run", "tflm")
    assert done.returncode == 0, done.stderr
    assert "tflm" in done.stdout
    assert not list(tmp_path.glob("build"))
    done = run("conformance", *FEW, "--run", "tflm", "--out", "here", "--json")
    assert (json.loads(done.stdout)["engines"][0]["right"], (tmp_path / "here" / "cases.json").exists()) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--case", "conv-9x9"), 2, "there is no case 'conv-9x9'"),
        (("--run", "tvm"), 2, "there is no engine 'tvm'"),
        (("--run", "pytorch"), 2, "runs the networks that `quantize` trains"),
        (("--run", "board:nothing"), 3, "nothing"),
        (("--run", "board:microbit/simavr"), 3, "simavr"),
        (("--out", "/dev/null/kit"), 3, "cannot"),
    ],
)
def test_what_is_refused(arguments, code, said, run):
    done = run("conformance", *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr


def test_an_engine_that_was_named_has_to_be_there(run):
    """With `all` it may be absent, and is named."""
    code = "import sys; sys.modules['x'] = None\nfrom lenet_edge.engines import tflm\n"
    code += "from lenet_edge.errors import MissingToolError\n"
    code += "def no(): raise MissingToolError('no')\n"
    code += "import lenet_edge.engines as e, types, dataclasses\n"
    code += "e.ENGINES = {n: dataclasses.replace(e.ENGINES[n], version=no) if n == 'tflm' else e.ENGINES[n]"
    code += " for n in ('tflm', 'onnxruntime')}\n"
    code += "from lenet_edge.cli import main; main()"
    named = run("conformance", *FEW, "--run", "tflm", code=code)
    assert (named.returncode, "pip install tflite-micro" in named.stderr) == (4, True)
    every = run("conformance", *FEW, "--run", "all", code=code)
    assert (every.returncode, "absent: pip install tflite-micro" in every.stdout) == (0, True)


def test_a_wrong_engine_is_exit_1_and_the_first_difference_is_shown(run):
    code = "import dataclasses, lenet_edge.engines as e\n"
    code += "right = e.ENGINES['tflm']\n"
    code += "e.ENGINES = {'tflm': dataclasses.replace(right, run=lambda path, x: right.run(path, x) | 1)}\n"
    code += "from lenet_edge.cli import main; main()"
    done = run("conformance", *FEW, "--run", "tflm", code=code)
    assert done.returncode == 1
    assert "tflm: conv-3x3: " in done.stdout
    assert "integers differ; input 0, output " in done.stdout
    assert "not all cases are right: tflm" in done.stderr


def test_cases_have_names_that_folders_can_have():
    assert all(case.name.replace("-", "").isalnum() and case.name.islower() for case in cases())
