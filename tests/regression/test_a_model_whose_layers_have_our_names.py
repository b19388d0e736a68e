"""Layers called `le_model` and `le_kernels`: with a name, CMakeLists.txt and manifests named files that did not exist.

The model's own words were spared everywhere, not only in comments of C: `export --target c --name meter` wrote
meter_model.c, and a CMakeLists.txt that compiles le_model.c.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import PurePosixPath

import pytest
import sample_models

from lenet_edge.formats import c_source, projects
from lenet_edge.resources import firmware_folder

TARGETS = ["c", *projects.PROJECTS]
FILE = re.compile(r"\b(?:le|meter)_\w+\.[chS]\b", re.ASCII)


def model():
    builder = sample_models.ModelBuilder(3).conv("le_model", 2).pool("le_conv2d").flatten("le_flatten")
    builder.fully_connected("le_kernels", 8).fully_connected("le_fully_connected", 4)
    return builder.build(arch="le_model", classes=list("abcd"))


def exported(target: str, family: str = c_source.PLAIN) -> dict[str, str]:
    plan = c_source.make_plan(model(), family)
    if target == "c":
        files = c_source.with_prefix(c_source.export(plan, firmware_folder()), "meter", plan.model)
    else:
        files = projects.export(plan, firmware_folder(), target, "meter", "meter")
    return {path: data.decode() for path, data in files.items()}


@pytest.mark.parametrize(
    ("target", "family"), [*((target, c_source.PLAIN) for target in TARGETS), ("zephyr", "cortex_m_dsp")]
)
def test_every_file_that_is_named_is_there(target, family):
    files = exported(target, family)
    there = {PurePosixPath(path).name for path in files}
    assert "meter_model.c" in there
    # In kernels' comments a file of another kernel may be named, which this model does not need.
    sources = {path.name for path in (firmware_folder() / "kernels").rglob("le_*")}
    known = there | {name.replace("le_", "meter_", 1) for name in sources}
    for path, text in files.items():
        is_c = path.endswith((".c", ".h", ".S", ".ino", ".cpp"))
        assert set(FILE.findall(text)) <= (known if is_c else there), path


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_build_system_compiles_is_all_that_is_there(target):
    files = exported(target)
    compiled = {path for path in files if path.endswith(".c") and "example" not in path and "sample" not in path}
    if target in ("c", "zephyr", "esp-idf"):
        words = set(re.findall(r"[\w/]+\.c\b", files["CMakeLists.txt"])) - {"example/main.c"}
        assert words == compiled
    elif target == "arduino":
        assert "includes=meter_model.h\n" in files["library.properties"]
    else:
        assert json.loads(files["library.json"])["headers"] == ["meter_model.h"]


def test_comments_of_c_and_the_banner_keep_the_model_s_words():
    files = exported("c")
    assert files["CMakeLists.txt"].startswith("# le_model, model ")
    assert "target_link_libraries(you meter_model).\n" in files["CMakeLists.txt"].splitlines(keepends=True)[0]
    assert files["meter_model.h"].startswith("/* le_model, model ")
    assert "/* le_kernels: " in files["meter_model.c"]


@pytest.mark.skipif(
    not (shutil.which("cmake") and any(map(shutil.which, ("cc", "gcc", "clang")))), reason="missing: cmake or cc"
)
def test_cmake_builds_it(tmp_path):
    for path, text in exported("c").items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    for argv in (["cmake", "-S", tmp_path, "-B", tmp_path / "build"], ["cmake", "--build", tmp_path / "build"]):
        done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
    assert list((tmp_path / "build").glob("libmeter_model.*"))
