"""What the projects share: the sources, the words of their manifests, the picture or frame that examples classify."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np
import numpy.typing as npt

from lenet_edge.formats import c_source
from lenet_edge.formats.projects.frames import ABOUT, FRAME_CALL, example_frame, in_rows
from lenet_edge.preparation.frames import FrameShape
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.reference import run
from lenet_edge.version import __version__

__all__ = ["Project", "example_pixels", "make_project", "version"]

_IMAGE = Template(
    """\
/* What the example classifies: $example; and the $logits that the reference gives for it.
 * Model $fingerprint. */
#ifndef LE_EXAMPLE_IMAGE_H
#define LE_EXAMPLE_IMAGE_H

#include <le_model.h>

/* One byte each, $first_row. Not constant: le_infer_u8 works in place. */
static uint8_t example_pixels[LE_INPUT_BYTES] = {
$pixels
};

static const int8_t example_logits[$output_count] = {
$values
};

#endif
"""
)


_SOURCES = (
    "`src/le_model.c` is the model; the other files of `src/` are lenet-edge's kernels, under the Apache License 2.0."
)
_PICTURE_CALL = {
    "api_header": "le_model.h",
    "example_header": "example_image.h",
    "call": "le_infer_u8(example_pixels, logits)",
}
_NAMES = """

All names in C begin with `le_` or `LE_`, those of macros that you define too (`LE_NO_TABLES`), so that this model links
into one program with models that have another name."""


@dataclass(frozen=True, eq=False)
class Project:
    """What a build system's files are written from.

    Attributes:
        name: of the library.
        fingerprint: of the model.
        family: of the kernels.
        prefix: of all names in C. The texts have `le` still: `projects.export` renames them all at the end.
        sentence: what the library is, without a full stop.
        paragraph: which model it has.
        sources: the generated C and its kernels, file name -> content.
        host_example: a program that classifies what comes on standard input.
        frames: of the camera in the example; None where it classifies a picture.
        example: a header with a picture or a frame, and its logits; its name is words["example_header"].
        words: what depends on the model's input and outputs (`c_source.words`), and on what the example classifies.
    """

    name: str
    fingerprint: str
    family: str
    prefix: str
    sentence: str
    paragraph: str
    sources: dict[str, bytes]
    host_example: str
    frames: FrameShape | None
    example: str
    words: dict[str, str]

    def fill(self, template: Template, **more: str) -> str:
        """The template with the project's words in it."""
        return template.substitute({**self.words, **vars(self), "about_sources": self.about_sources, **more})

    @property
    def about_sources(self) -> str:
        """The end of a README: frames, what is in src/, and how its names begin if somebody has chosen that."""
        frames = "" if self.frames is None else ABOUT.substitute(self.words)
        return frames + (_SOURCES if self.prefix == c_source.DEFAULT_PREFIX else _SOURCES + _NAMES)

    @property
    def example_header(self) -> str:
        """The name of the header with what the example classifies."""
        return self.words["example_header"]

    def runs_on(self, *cpus: str) -> bool:
        """Whether one of these processors runs the project's kernels."""
        return any(c_source.FAMILIES[self.family].runs_on(cpu) for cpu in cpus)

    @property
    def compiled(self) -> list[str]:
        """Of the sources those that are compiled or assembled, sorted."""
        return sorted(name for name in self.sources if name.endswith((".c", ".S")))


def make_project(
    plan: c_source.Plan, firmware: Path, name: str, prefix: str, frames: FrameShape | None = None
) -> Project:
    """Everything that does not depend on the build system; see `projects.export`."""
    model = plan.model
    exported, facts = c_source.export(plan, firmware, frames), c_source.facts(plan)
    words = c_source.words(model)
    words |= _PICTURE_CALL if frames is None else {**c_source.frame_words(frames), **FRAME_CALL}
    sizes = " x ".join(map(str, model.input.shape))
    count = facts.get("outputs", facts["classes"])
    outputs = f"{count} {words['logits'] if count > 1 else words['logits'][:-1]}"
    return Project(
        name=name,
        fingerprint=model.fingerprint,
        family=plan.family,
        prefix=prefix,
        sentence=f"An int8 {words['classifier']} in C, without heap, floating point or interpreter",
        paragraph=(
            f"{sizes} {words['pixels']} in, {outputs} out; {facts['table_bytes']} bytes of tables, "
            f"{facts['workspace_bytes']} bytes of workspace. Model {model.fingerprint[:16]}, by lenet-edge."
        ),
        sources={file: content for file, content in exported.items() if file.startswith("le_")},
        host_example=exported["example/main.c"].decode(),
        frames=frames,
        example=_example_image(model, words) if frames is None else example_frame(model, frames, words),
        words=words,
    )


def version() -> str:
    """The toolkit's version as semantic versioning has it: three numbers, whatever follows them left out."""
    numbers = re.findall(r"\d+", __version__)
    return ".".join([*numbers, "0", "0", "0"][:3])


def example_pixels(shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """An upright bar, uint8 ``[1, *shape]``: what a classifier of digits should call a one; of a vector a ramp."""
    if len(shape) != 3:
        return np.linspace(0, 255, math.prod(shape)).astype(np.uint8).reshape(1, *shape)
    height, width, _ = shape
    thickness = max(1, width // 9)
    left = (width - thickness) // 2
    pixels = np.zeros((1, *shape), np.uint8)
    pixels[:, height // 7 : height - height // 7, left : left + thickness] = 255
    return pixels


def _example_image(model: QuantizedModel, words: dict[str, str]) -> str:
    pixels = example_pixels(model.input.shape)
    logits = run(model, (pixels ^ 0x80).view(np.int8))  # pixel - 128
    rows = {"pixels": in_rows(pixels.ravel().tolist()), "values": in_rows(logits.ravel().tolist())}
    return _IMAGE.substitute({**words, **rows, "fingerprint": model.fingerprint})
