"""A PlatformIO library: library.json ("Library Manifest" in PlatformIO's documentation), and a project that uses it.

A library and not a project, because that is what somebody's project can depend on; the project below examples/ is one
that `pio run` takes as it is.
"""

from __future__ import annotations

from string import Template

from lenet_edge.files import to_json
from lenet_edge.formats.projects.arduino import SKETCH
from lenet_edge.formats.projects.common import Project, is_dsp, version

__all__ = ["files"]

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
; On this machine: .pio/build/native/program < $pixels.raw
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

# Platform, board: with the DSP extension, and without.
_DSP_BOARDS = (("nordicnrf52", "nano33ble"), ("ststm32", "nucleo_f446re"))
_OTHER_BOARDS = (("atmelavr", "megaatmega2560"), ("espressif32", "esp32dev"))

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
    boards = _DSP_BOARDS if is_dsp(project) else (*_OTHER_BOARDS, *_DSP_BOARDS)
    ini = _INI.substitute(default=boards[0][1] if is_dsp(project) else "native")
    ini += "" if is_dsp(project) else project.fill(_NATIVE)
    ini += "".join(_ARDUINO.substitute(platform=platform, board=board) for platform, board in boards)
    example = {
        "platformio.ini": ini,
        "src/arduino.cpp": project.fill(SKETCH, include="#include <Arduino.h>\n"),
        "src/example_image.h": project.example_image,
    }
    if not is_dsp(project):
        example["src/native.c"] = project.host_example
    return {
        "README.md": project.fill(_README),
        "library.json": to_json(_manifest(project, sorted(example))),
        **{f"{_EXAMPLE}/{path}": text for path, text in example.items()},
    }


def _manifest(project: Project, example: list[str]) -> dict[str, object]:
    return {
        "name": project.name,
        "version": version(),
        "description": f"{project.sentence}. {project.paragraph}",
        "keywords": ["int8", "classifier", "neural network", "tinyml"],
        "authors": [{"name": "lenet-edge"}],
        "frameworks": "*",
        "platforms": "*",
        "headers": ["le_model.h"],
        "build": {"flags": ["-O2"]},
        "examples": [{"name": "classify", "base": _EXAMPLE, "files": example}],
    }
