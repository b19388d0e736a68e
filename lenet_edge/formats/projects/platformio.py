"""A PlatformIO library: library.json ("Library Manifest" in PlatformIO's documentation), and a project that uses it.

It is a library and not a project, because a user's project can depend on a library; the project below examples/ is one
that `pio run` takes as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Template

from lenet_edge.files import to_json
from lenet_edge.formats.c_source import PLAIN
from lenet_edge.formats.projects.arduino import sketch
from lenet_edge.formats.projects.common import Project, version

__all__ = ["CPUS", "files"]

_EXAMPLE = "examples/classify"

_INI = Template(
    """\
; `pio run` builds the environment $default; `pio run -e NAME` another.
[platformio]
default_envs = $default

[env]
lib_deps = symlink://../..
"""
)

_NATIVE = Template(
    """
; On this machine: .pio/build/native/program < $raw_file
[env:native]
platform = native
build_src_filter = +<native.c>
"""
)

_ARDUINO = Template(
    """
[env:$board]
platform = $platform
board = $board
framework = arduino
monitor_speed = 115200
build_src_filter = +<arduino.cpp>
"""
)

# Platform, board, processor: environments of the example.
_BOARDS = (
    ("native", "native", "x86_64"),
    ("native", "native", "aarch64"),
    ("atmelavr", "megaatmega2560", "avr6"),
    ("espressif32", "esp32dev", "xtensa"),
    ("espressif32", "esp32-c3-devkitm-1", "rv32imc"),
    ("nordicnrf52", "nano33ble", "cortex-m4"),
    ("ststm32", "nucleo_f446re", "cortex-m4"),
)

# Platforms of PlatformIO's registry, and processors of their boards. A library declares a platform if any of these runs
# the kernels; on the others le_dsp.h and its like stop the compiler.
_PLATFORMS = {
    "atmelavr": ("avr5", "avr51", "avr6"),
    "atmelsam": ("cortex-m0plus", "cortex-m3", "cortex-m4"),
    "espressif32": ("xtensa", "rv32imc", "rv32imac"),
    "freescalekinetis": ("cortex-m0plus", "cortex-m4"),
    "gd32v": ("rv32imac",),
    "infineonxmc": ("cortex-m0", "cortex-m4"),
    "maxim32": ("cortex-m3", "cortex-m4"),
    "native": ("aarch64", "x86_64"),
    "nordicnrf51": ("cortex-m0",),
    "nordicnrf52": ("cortex-m4",),
    "nxpimxrt": ("cortex-m7",),
    "nxplpc": ("cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4"),
    "raspberrypi": ("cortex-m0plus",),
    "renesas-ra": ("cortex-m4", "cortex-m33"),
    "sifive": ("rv32imac",),
    "siliconlabsefm32": ("cortex-m0plus", "cortex-m3", "cortex-m4"),
    "ststm32": ("cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33"),
    "teensy": ("avr5", "avr51", "cortex-m0plus", "cortex-m4", "cortex-m7"),
    "titiva": ("cortex-m4",),
    "wiznet7500": ("cortex-m0",),
}
_FAST_ONLY = ("esp32-c3-devkitm-1",)  # one board of Espressif's is enough for the plain kernels
CPUS = frozenset(cpu for _, _, cpu in _BOARDS)
"""Of all of them."""

_README = Template(
    """\
# $name

$sentence: a PlatformIO library. $paragraph

    [env:yours]
    lib_deps = symlink://PATH_OF_THIS_FOLDER

in your `platformio.ini`, or a copy of this folder in the `lib` folder of your project. `#include <le_model.h>` has the
functions. `pio run -d examples/classify` builds an example.

$about_sources
"""
)


def files(project: Project) -> dict[str, str]:
    """library.json and an example project; see `projects.export`."""
    boards = {
        board: platform
        for platform, board, cpu in _BOARDS
        if project.runs_on(cpu) and not (project.family == PLAIN and board in _FAST_ONLY)
    }
    example = {"platformio.ini": _ini(project, boards), f"src/{project.example_header}": project.example}
    if "native" in boards:
        example["src/native.c"] = project.host_example
    if set(boards) != {"native"}:
        example["src/arduino.cpp"] = sketch(project, "#include <Arduino.h>\n")
    return {
        "README.md": project.fill(_README),
        "library.json": to_json(_manifest(project, sorted(example))),
        **{f"{_EXAMPLE}/{path}": text for path, text in example.items()},
    }


def _ini(project: Project, boards: Mapping[str, str]) -> str:
    """The environments of the example; boards: of its platform each."""
    raw_file = "frames.raw" if project.frames else f"{project.words['pixels']}.raw"
    parts = [_INI.substitute(default=next(iter(boards)))]
    for board, platform in boards.items():
        native = board == "native"
        words = {"raw_file": raw_file} if native else {"platform": platform, "board": board}
        parts.append((_NATIVE if native else _ARDUINO).substitute(words))
    return "".join(parts)


def _manifest(project: Project, example: list[str]) -> dict[str, object]:
    platforms = [name for name, cpus in _PLATFORMS.items() if project.runs_on(*cpus)]
    return {
        "name": project.name,
        "version": version(),
        "description": f"{project.sentence}. {project.paragraph}",
        "keywords": ["int8", "classifier", "neural network", "tinyml"],
        "authors": [{"name": "lenet-edge"}],
        "frameworks": "*",
        "platforms": "*" if project.family == PLAIN else platforms,
        "headers": [project.words["api_header"]],
        "build": {"flags": ["-O2"]},
        "examples": [{"name": "classify", "base": _EXAMPLE, "files": example}],
    }
