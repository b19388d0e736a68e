"""The example images of `page`, and what the engines make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lenet_edge.cli import common, inputs
from lenet_edge.errors import BadInputError, LenetEdgeError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lenet_edge.datasets import LabelArray
    from lenet_edge.quantized.model import QuantizedModel
    from lenet_edge.records import CheckRecord
    from lenet_edge.report.page import Engine, Example, Shown

__all__ = ["Subject", "data_of", "engines_of", "examples_of", "shown"]

REFERENCE = "reference"
_USUAL = (REFERENCE, "host_c", "tflm", "litert-builtin", "litert-xnnpack", "onnxruntime")
_MOST_BYTES = 128 * 1024  # of the examples of all models, where nobody says how many


@dataclass(frozen=True, eq=False)
class Subject:
    """A model of the page: its file, its bytes, and what it is called there."""

    path: Path
    name: str
    model: QuantizedModel
    content: bytes


def data_of(subjects: Sequence[Subject], record: CheckRecord | None) -> str | None:
    """The data set of a record of `check`, if it is of one of the models; else the published one that the first model
    is of; else None."""
    from lenet_edge.datasets.sources import PUBLISHED
    from lenet_edge.datasets.values import holds_values

    fingerprints = [subject.model.fingerprint for subject in subjects]
    if record is not None and record.fingerprint in fingerprints and record.data != "noise":
        return None if holds_values(record.data) else record.data
    named = subjects[0].model.metadata.get("dataset")
    return named if isinstance(named, str) and named in PUBLISHED else None


def examples_of(
    subjects: Sequence[Subject], data: str, count: int | None
) -> tuple[list[Example], list[npt.NDArray[np.int8]]]:
    """Test images of a data set: the first one of each class, then the second ones.

    Args:
        count: how many; None: ten, or as many as go into some 100 KB.

    Returns:
        What they are called, and for each model its inputs, int8 ``[n, h, w, c]``.

    Raises:
        BadInputError: there is no such data set, or it does not fit a model.
    """
    from lenet_edge.quantized.meaning import meaning_of
    from lenet_edge.report.page import Example

    tests = [inputs.test_inputs(subject.model, data, None, None) for subject in subjects]
    if any(len(each.images) != len(tests[0].images) for each in tests):
        raise BadInputError(f"the models take different test images of {data}; write a page for each")
    size = sum(each.images[0].nbytes for each in tests)
    labels = tests[0].labels
    chosen = _chosen(labels, len(tests[0].images), count or min(10, max(1, _MOST_BYTES // size)))
    classes, files = meaning_of(subjects[0].model).classes, tests[0].files
    examples = [
        Example(
            files[index] if files else f"test image {index}", None if labels is None else classes[int(labels[index])]
        )
        for index in chosen
    ]
    return examples, [each.images[chosen] for each in tests]


def _chosen(labels: LabelArray | None, images: int, count: int) -> list[int]:
    if labels is None:
        return list(range(min(images, count)))
    seen: dict[int, int] = {}
    places = []
    for index, label in enumerate(labels.tolist()):
        seen[label] = seen.get(label, 0) + 1
        places.append((seen[label], label, index))
    return [index for _, _, index in sorted(places)[:count]]


# --- engines ----------------------------------------------------------------------------------------


def engines_of(subject: Subject, record: CheckRecord | None) -> tuple[str, ...]:
    """The engines that `check` ran, if its record is of this model; else the usual ones. Without boards."""
    from lenet_edge.engines import ENGINES

    if record is None or record.fingerprint != subject.model.fingerprint:
        return _USUAL
    ran = [engine.name for engine in record.engines if engine.status == "ran"]
    return tuple(name for name in (REFERENCE, *ENGINES) if name in ran)


def shown(subject: Subject, images: npt.NDArray[np.int8], engines: Sequence[str], *, named: bool) -> Shown:
    """A model of the page, with what the engines make of its images.

    Args:
        named: whether the user named the engines: one that cannot run is then an error, not left out.

    Raises:
        LenetEdgeError: such an error.
    """
    from lenet_edge.report.page import Shown

    ran = []
    for name in engines if len(images) else ():
        try:
            ran.append(_run(name, subject, images))
        except LenetEdgeError as error:
            if named:
                raise
            common.log(f"  {name} is left out: {error}")
    return Shown(subject.name, subject.model, images, tuple(ran))


def _run(name: str, subject: Subject, images: npt.NDArray[np.int8]) -> Engine:
    from lenet_edge.cli.artefacts import Artefacts
    from lenet_edge.engines import ENGINES, Absent
    from lenet_edge.quantized.reference import run
    from lenet_edge.report.page import Engine
    from lenet_edge.version import __version__

    if name == REFERENCE:
        return Engine(name, f"lenet-edge {__version__}", run(subject.model, images))
    engine = ENGINES[name]
    version, kind = engine.version(), engine.artefact
    with Artefacts(subject.path, subject.model, subject.content, kinds=[kind]) as artefacts:
        artefact = artefacts[kind]
        if isinstance(artefact, Absent):
            raise BadInputError(f"{name}: {artefact.reason}")
        logits = engine.run(artefact, images)
    common.log(f"  {name} ran {len(images)} images")
    return Engine(name, version, logits)
