"""The generated C as what other build systems take: a library for Arduino or PlatformIO, a module, a component.

Each has an example that classifies a picture, or a camera's frame, and compares its logits with the reference's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source import DEFAULT_PREFIX, FAMILIES, PLAIN, Plan, with_prefix
from lenet_edge.formats.projects import arduino, esp_idf, platformio, zephyr
from lenet_edge.formats.projects.common import Project, make_project
from lenet_edge.preparation.frames import FrameShape

__all__ = ["PROJECTS", "export", "kernels_for"]

PROJECTS: Mapping[str, Callable[[Project], dict[str, str]]] = {
    "arduino": arduino.files,
    "platformio": platformio.files,
    "zephyr": zephyr.files,
    "esp-idf": esp_idf.files,
}
"""Target -> the files that its build system wants around the sources of `src/`, by path."""

_CPUS: Mapping[str, frozenset[str]] = {
    "arduino": arduino.CPUS,
    "platformio": platformio.CPUS,
    "zephyr": zephyr.CPUS,
    "esp-idf": esp_idf.CPUS,
}

# What all four take: Arduino's rule for the name of a library and its folder (Library specification), the strictest.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)


def kernels_for(target: str) -> tuple[str, ...]:
    """The families (`c_source.FAMILIES`) that some processor of a target runs."""
    return tuple(name for name, family in FAMILIES.items() if any(map(family.runs_on, _CPUS[target])))


def export(
    plan: Plan,
    firmware: Path,
    target: str,
    name: str,
    prefix: str = DEFAULT_PREFIX,
    frames: FrameShape | None = None,
) -> dict[str, bytes]:
    """The files of the folder, by path.

    Args:
        plan: of a model, tie-free or not.
        firmware: the folder with the C sources (firmware/).
        target: of `PROJECTS`.
        name: of the library, module or component.
        prefix: of all names in C, and of all that must differ where two models are in one program.
        frames: of the camera in the example; with them there is `le_prepare`, too, which takes frames of any size.

    Raises:
        BadInputError: some build system refuses the name, C the prefix, the target has no processor for the kernels, or
            the model has a size or shape that they do not take, or with frames takes no pictures.
    """
    if not _NAME.fullmatch(name):
        raise BadInputError(
            f"{name!r} is not a name for a library: letters, digits, '_', '.' and '-', a letter or digit first, at "
            "most 63 characters; give another with --name"
        )
    if plan.family not in kernels_for(target):
        raise BadInputError(
            f"{target} has no processor for the kernels {plan.family}; export it with --kernels {PLAIN}"
        )
    project = make_project(plan, firmware, name, prefix, frames)
    texts = {path: text.encode() for path, text in PROJECTS[target](project).items()}
    sources = {f"src/{file}": content for file, content in project.sources.items()}
    return with_prefix(texts | sources, prefix, plan.model)
