"""An ESP-IDF component ("Build System" and "idf_component.yml Manifest" in Espressif's documentation), with an example.

The name of a component is that of its folder.
"""

from __future__ import annotations

from string import Template

from lenet_edge.formats.c_source import PLAIN
from lenet_edge.formats.projects.common import Project, version

__all__ = ["CPUS", "files"]

_TARGETS = {
    "esp32": "xtensa",
    "esp32s2": "xtensa",
    "esp32s3": "xtensa",
    "esp32c2": "rv32imc",
    "esp32c3": "rv32imc",
    "esp32c6": "rv32imac",
    "esp32h2": "rv32imac",
    "esp32p4": "rv32imafc",
}
CPUS = frozenset(_TARGETS.values())
"""Of all of them."""

_CMAKE = Template(
    """\
idf_component_register(
    SRCS
$sources
    INCLUDE_DIRS
        src
)
target_compile_options($${COMPONENT_LIB} PRIVATE -O2)
"""
)

_MANIFEST = Template(
    """\
version: "$version"
description: "$sentence. $paragraph"
${targets}dependencies:
  idf: ">=4.4"
"""
)

_EXAMPLE_CMAKE = """\
cmake_minimum_required(VERSION 3.16)

# The component is two folders up; where it is in the components folder of the project, these lines go.
get_filename_component(component "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
set(EXTRA_COMPONENT_DIRS "${component}")

include($ENV{IDF_PATH}/tools/cmake/project.cmake)
project(classify)
"""

# The component `main` requires all others, where it says nothing else.
_MAIN_CMAKE = """\
idf_component_register(SRCS main.c INCLUDE_DIRS .)
"""

_MAIN = Template(
    """\
/* Classifies the $picture of $example_header, and compares its $logits with those of lenet-edge's reference. */
#include <stdio.h>
#include <string.h>

#include <$api_header>

#include "$example_header"

void app_main(void)
{
    int8_t logits[$output_count];
    char name[LE_NAME_BYTES];
    const int found = $call;
$refused
    printf("%s:", le_class_name(found, name));
    for (int i = 0; i < $output_count; i++) {
        printf(" %d", logits[i]);
    }
    printf("\\nself-test: %s\\n", memcmp(logits, example_logits, sizeof logits) == 0 ? "passed" : "FAILED");
}
"""
)

_REFUSED = """\
    if (found < 0) { /* LE_PREPARE_BLANK and the like */
        printf("no image: %d\\n", found);
        return;
    }
"""

_README = Template(
    """\
# $name

$sentence: an ESP-IDF component. $paragraph

    idf.py -C examples/classify set-target esp32c3 build

Copied into the `components` folder of your project it is there for `#include <le_model.h>`; a component other than
`main` names this folder in its `REQUIRES`.

$about_sources
"""
)


def files(project: Project) -> dict[str, str]:
    """CMakeLists.txt, idf_component.yml and an example project; see `projects.export`."""
    able = [] if project.family == PLAIN else [name for name, cpu in _TARGETS.items() if project.runs_on(cpu)]
    targets = "".join(["targets:\n", *(f"  - {name}\n" for name in able)]) if able else ""
    return {
        "README.md": project.fill(_README),
        "CMakeLists.txt": _CMAKE.substitute(sources="\n".join(f"        src/{name}" for name in project.compiled)),
        "idf_component.yml": project.fill(_MANIFEST, version=version(), targets=targets),
        "examples/classify/CMakeLists.txt": _EXAMPLE_CMAKE,
        "examples/classify/main/CMakeLists.txt": _MAIN_CMAKE,
        "examples/classify/main/main.c": project.fill(_MAIN, refused="" if project.frames is None else _REFUSED),
        f"examples/classify/main/{project.example_header}": project.example,
    }
