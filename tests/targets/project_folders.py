"""Exported projects in a folder, and the tools that build them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import workbench
from not_covered import ARDUINO
from written_trees import write

from lenet_edge.formats import c_source, projects
from lenet_edge.resources import firmware_folder

STUBS = Path(__file__).parent / "stubs"
MODEL = workbench.LENET5
STRICT = ["-Wall", "-Wextra", "-Werror"]
M0, M4 = ("-mcpu=cortex-m0plus", "-mthumb"), ("-mcpu=cortex-m4", "-mthumb")
PREFIXES = [c_source.DEFAULT_PREFIX, "meter"]


def run(*argv, **options) -> str:
    done = subprocess.run([str(part) for part in argv], capture_output=True, timeout=300, **options)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-3000:]
    return done.stdout.decode()


def need(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)}")


def export(folder, target, family=c_source.PLAIN, prefix=c_source.DEFAULT_PREFIX, frames=None, model=MODEL) -> Path:
    plan = c_source.make_plan(model, family)
    return write(folder, projects.export(plan, firmware_folder(), target, "lenet5", prefix, frames))


def sketch_as_cpp(folder: Path, target: str) -> Path:
    """The sketch as the Arduino builder compiles it: with Arduino.h in front."""
    if target == "platformio":
        return folder / "examples/classify/src/arduino.cpp"
    path = folder / "examples/Classify/sketch.ino.cpp"
    path.write_text("#include <Arduino.h>\n" + (folder / "examples/Classify/Classify.ino").read_text())
    return path


def built_sketch(folder: Path, target: str, build: Path) -> Path:
    """The sketch of a library as a program of this machine, strictly compiled."""
    need("gcc", "g++")
    includes = [f"-I{folder / 'src'}", f"-I{STUBS / 'arduino'}"]
    for source in sorted((folder / "src").glob("*.c")):
        run("gcc", "-std=c99", "-O1", *STRICT, "-c", source, "-o", build / f"{source.stem}.o")
    sources = [sketch_as_cpp(folder, target), STUBS / "arduino" / "host.cpp"]
    run("g++", "-std=c++11", *STRICT, *includes, *sources, *build.glob("*.o"), "-o", build / "program")
    return build / "program"


def built_by_arduino(folder: Path, sketch: Path) -> subprocess.CompletedProcess[str]:
    """Arduino's own builder, as the IDE calls it, with the libraries of folder/libraries; into folder/build."""
    need("arduino-builder", "avr-gcc")
    if not (ARDUINO / "arduino" / "avr").is_dir():
        pytest.skip("missing: arduino-core-avr")
    (folder / "build").mkdir()
    options = ["-fqbn", "arduino:avr:mega:cpu=atmega2560", "-core-api-version", "10819", "-warnings", "all"]
    for name, value in (
        ("hardware", ARDUINO),
        ("hardware", "/usr/share/arduino-builder"),
        ("tools", "/usr/bin"),
        ("libraries", folder / "libraries"),
        ("build-path", folder / "build"),
        ("prefs", "runtime.tools.avr-gcc.path=/usr"),
        ("prefs", "compiler.cpp.extra_flags=-DDECIMAL_DIG=17"),  # Debian's GCC 5 has it for later C++ only
    ):
        options += [f"-{name}", str(value)]
    argv = ["arduino-builder", "-compile", *options, str(sketch)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300)


def built_by_cmake(source: Path, build: Path, program: str, **environment: Path) -> list[str]:
    """What the example prints."""
    need("cmake", "make", "gcc")
    settings = {**os.environ, **{name: str(value) for name, value in environment.items()}}
    run("cmake", "-Wno-dev", "-G", "Unix Makefiles", "-S", source, "-B", build, env=settings)
    run("cmake", "--build", build)
    return run(build / program).splitlines()


def printed_by(folder: Path, target: str, build: Path) -> list[str]:
    """What the example of a Zephyr module or an ESP-IDF component prints on this machine."""
    if target == "zephyr":
        return built_by_cmake(folder / "samples/classify", build, "app", ZEPHYR_BASE=STUBS / "zephyr")
    return built_by_cmake(folder / "examples/classify", build, "classify", IDF_PATH=STUBS / "esp_idf")
