"""The CMake project of exported C tunes the plain kernels for a Cortex-M4 as the firmware does."""

from __future__ import annotations

import json
import subprocess

import pytest
import workbench
from project_folders import need

from lenet_edge.files import write_files
from lenet_edge.formats import c_source
from lenet_edge.resources import firmware_folder

CROSS = (
    "CMAKE_SYSTEM_NAME=Generic",
    "CMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY",
    "CMAKE_C_COMPILER=arm-none-eabi-gcc",
)


def commands(folder, family, *, flags="", options=""):
    """The compiler's command for each file of an application that has the exported folder in it."""
    need("cmake", "make", "arm-none-eabi-gcc")
    write_files(folder / "model", c_source.export(c_source.make_plan(workbench.LENET5, family), firmware_folder()))
    text = f"cmake_minimum_required(VERSION 3.10)\nproject(it C ASM)\n{options}\nadd_subdirectory(model)\n"
    (folder / "CMakeLists.txt").write_text(text)
    settings = [f"-D{setting}" for setting in (*CROSS, f"CMAKE_C_FLAGS={flags}", "CMAKE_EXPORT_COMPILE_COMMANDS=ON")]
    argv = ["cmake", "-S", folder, "-B", folder / "build", "-G", "Unix Makefiles", *settings]
    subprocess.run(argv, check=True, capture_output=True, text=True)
    found = json.loads((folder / "build/compile_commands.json").read_text())
    return {each["file"].rpartition("/")[2]: each["command"] for each in found}


@pytest.mark.parametrize(
    "how", [{"flags": "-mcpu=cortex-m4 -mthumb"}, {"options": "add_compile_options(-mcpu=cortex-m4 -mthumb)"}]
)
def test_a_cortex_m4_is_tuned_for(how, tmp_path):
    found = commands(tmp_path, "cortex_m_dsp", **how)
    assert "le_model.c" in found
    assert all(("-mtune=cortex-m3" in command) == name.endswith(".c") for name, command in found.items())
    assert {name.rpartition(".")[2] for name in found} == {"c", "S"}


def test_no_other_processor_is(tmp_path):
    found = commands(tmp_path, c_source.PLAIN, flags="-mcpu=cortex-m7 -mthumb")
    assert found
    assert not any("-mtune" in command for command in found.values())
