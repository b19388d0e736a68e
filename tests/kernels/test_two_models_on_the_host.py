"""Two models that were exported with `--name`, in one program of this machine: every logit is the reference's."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import cpp_programs
import pytest
import sample_models
import two_models
from packed_models import MIXED
from two_models import MODELS, ORDINARY, PACKED

from lenet_edge.engines import host_c
from lenet_edge.files import write_files
from lenet_edge.formats import c_source

STRICT = ["-Wall", "-Wextra", "-Wshadow", "-Wpedantic", "-Werror"]
FAMILIES = [c_source.PLAIN, *([host_c.FAMILY] if host_c.FAMILY else [])]
COUNT = 40

# In C and in C++: the two headers together, an image of each in turn, once with a workspace of the caller's.
MAIN = """\
#include <stdio.h>

#include "meter_model.h"
#include "gauge_model.h"

static int8_t image[METER_INPUT_BYTES + GAUGE_INPUT_BYTES];
static int8_t logits[METER_CLASSES + GAUGE_CLASSES];
static gauge_workspace workspace;

int main(void)
{
    while (fread(image, 1, sizeof image, stdin) == sizeof image) {
        const int number = meter_infer(image, logits);
        (void)gauge_infer_with(&workspace, image + METER_INPUT_BYTES, logits + METER_CLASSES);
        if (number < 0 || meter_class_names[number] == gauge_class_names[0]) {
            return 1;
        }
        fwrite(logits, 1, sizeof logits, stdout);
    }
    return 0;
}
"""


def run(*argv: object, **options) -> bytes:
    done = subprocess.run([str(argument) for argument in argv], capture_output=True, timeout=120, **options)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def _gcc():
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing")


def objects(folder: Path, family: str, models=MODELS, packings=None) -> list[Path]:
    """All that was exported for both, compiled strictly in one folder."""
    write_files(folder, two_models.sources(family, models, packings))
    native = [] if family == c_source.PLAIN else ["-march=native"]
    found = []
    for source in sorted(folder.glob("*.c")):
        found.append(source.with_suffix(".o"))
        run("gcc", "-std=c99", "-O1", *STRICT, *native, "-c", source, "-o", found[-1])
    return found


def logits(program: Path, models=MODELS) -> bool:
    sent, expected = two_models.interleaved(COUNT, models)
    return run(program, input=b"".join(sent)) == b"".join(expected)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("language", ["c", "c++"])
def test_one_program(language, family, tmp_path):
    compiled = objects(tmp_path, family)
    if language == "c":
        (tmp_path / "main.c").write_text(MAIN)
        run("gcc", "-std=c99", *STRICT, tmp_path / "main.c", *compiled, "-o", tmp_path / "program")
    else:
        (tmp_path / "main.cpp").write_text(MAIN)
        run(*cpp_programs.compiler(), "-std=c++11", *STRICT, "-c", tmp_path / "main.cpp", "-o", tmp_path / "main.o")
        run("gcc", tmp_path / "main.o", *compiled, "-o", tmp_path / "program")
    assert logits(tmp_path / "program")


def test_eight_bits_and_two_side_by_side(tmp_path):
    compiled = objects(tmp_path, c_source.PLAIN, PACKED, MIXED)
    assert {"meter_fully_connected_trits.o", "gauge_fully_connected.o"} <= {path.name for path in compiled}
    (tmp_path / "main.c").write_text(MAIN)
    run("gcc", tmp_path / "main.c", *compiled, "-o", tmp_path / "program")
    assert logits(tmp_path / "program", PACKED)


def test_one_that_rounds_once_and_one_that_rounds_twice(tmp_path):
    """Both have a function requantize_s8, and not the same one."""
    compiled = objects(tmp_path, c_source.PLAIN, ORDINARY)
    assert {"meter_requantize_double.o", "gauge_requantize_tie_free.o"} <= {path.name for path in compiled}
    (tmp_path / "main.c").write_text(MAIN)
    run("gcc", tmp_path / "main.c", *compiled, "-o", tmp_path / "program")
    assert logits(tmp_path / "program", ORDINARY)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_symbol_has_its_prefix_and_is_there_once(family, tmp_path):
    compiled = objects(tmp_path, family)
    symbols = re.findall(r"^\S+ [A-Z] (\S+)$", run("nm", "--defined-only", *compiled).decode(), re.MULTILINE)
    assert two_models.wrong_symbols(set(symbols)) == set()
    assert len(symbols) == len(set(symbols))
    assert {"meter_infer", "gauge_infer", "meter_class_names"} <= set(symbols)


def test_without_names_they_collide(tmp_path):
    """What the tests above hold can fail."""
    models = {"le": MODELS["meter"], "meter": MODELS["gauge"]}
    for folder, model in models.items():
        write_files(tmp_path / folder, c_source.export(c_source.make_plan(model), two_models.firmware_folder()))
        for source in sorted((tmp_path / folder).glob("*.c")):
            run("gcc", "-c", source, "-o", source.with_suffix(".o"))
    argv = ["gcc", "-r", *map(str, tmp_path.glob("*/*.o")), "-o", str(tmp_path / "x")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    found = set(re.findall(r"multiple definition of [`'](\w+)'", done.stderr))
    assert {"le_infer", "le_conv2d_s8", "le_class_names"} <= found


def test_one_with_a_name_next_to_one_without(tmp_path):
    models = {"le": sample_models.lenet5_sigmoid(63), "gauge": MODELS["gauge"]}
    objects(tmp_path, c_source.PLAIN, models)
    (tmp_path / "main.c").write_text(MAIN.replace("meter_", "le_").replace("METER_", "LE_"))
    run("gcc", "-std=c99", *STRICT, *tmp_path.glob("*.c"), "-o", tmp_path / "program")
    assert logits(tmp_path / "program", models)


def test_one_cmake_project(tmp_path):
    """Each folder is a library; the example's program is built in neither."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is missing")
    for prefix, model in MODELS.items():
        files = c_source.with_prefix(
            c_source.export(c_source.make_plan(model), two_models.firmware_folder()), prefix, model
        )
        write_files(tmp_path / prefix, files)
    (tmp_path / "main.c").write_text(MAIN)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.10)\nproject(both C)\nadd_subdirectory(meter)\nadd_subdirectory(gauge)\n"
        "add_executable(both main.c)\ntarget_link_libraries(both meter_model gauge_model)\n"
    )
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", "-G", "Unix Makefiles")
    run("cmake", "--build", tmp_path / "build")
    assert logits(tmp_path / "build" / "both")
