"""The kit's cases on engines, every integer compared.

Starting an engine takes longer than running a case, so the cases go side by side into one model. A case that is wrong
there, or an engine that does not take such a model, is asked again case by case, with the files of the kit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lenet_edge.conformance.case import Case
from lenet_edge.conformance.kit import expected
from lenet_edge.engines import Absent, Engine
from lenet_edge.errors import LenetEdgeError, MissingToolError
from lenet_edge.quantized.model import Int8Array, Layer, QuantizedModel

__all__ = ["Finding", "Result", "run_engine", "side_by_side"]

Files = Callable[[QuantizedModel], AbstractContextManager["Path | Absent"]]
"""Makes what an engine runs of a model, gone afterwards, or says why there is none."""


@dataclass(frozen=True)
class Finding:
    """A case that an engine does not compute right, or does not run.

    Attributes:
        status: "wrong", "failed", "left out" (there is no such file, or it does not fit the board).
        differ, outputs: how many integers of how many are wrong.
        input, output: which is the first, from 0.
        expected, got: that one.
        message: of one that is not "wrong".
    """

    case: str
    status: str
    differ: int = 0
    outputs: int = 0
    input: int = 0
    output: int = 0
    expected: int = 0
    got: int = 0
    message: str = ""

    def said(self) -> str:
        """In one line."""
        if self.status != "wrong":
            return f"{self.case}: {self.status}: {self.message}"
        first = f"input {self.input}, output {self.output}: expected {self.expected}, got {self.got}"
        return f"{self.case}: {self.differ} of {self.outputs} integers differ; {first}"


@dataclass(frozen=True)
class Result:
    """An engine on the cases.

    Attributes:
        status: "ran", or "absent" with the reason in `message`.
        right: how many cases are.
        outputs: how many integers were compared.
        findings: the other cases.
    """

    engine: str
    version: str | None
    status: str
    right: int = 0
    outputs: int = 0
    findings: tuple[Finding, ...] = ()
    message: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong and something ran."""
        return self.right > 0 and all(finding.status == "left out" for finding in self.findings)

    def content(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def run_engine(name: str, engine: Engine, cases: Sequence[Case], files: Files, *, at_once: int) -> Result:
    """Run the cases on an engine.

    Args:
        files: makes what it runs.
        at_once: how many cases to try side by side.
    """
    try:
        version = engine.version()
    except MissingToolError:
        return Result(name, None, "absent", message=engine.install_command())
    groups = [cases[start : start + at_once] for start in range(0, len(cases), at_once)]
    single = [case for group in groups for case in _wrong_together(engine, group, files)]
    findings = [finding for case in single if (finding := _alone(engine, case, files)) is not None]
    not_run = {finding.case for finding in findings if finding.status != "wrong"}
    outputs = sum(expected(case).size for case in cases if case.name not in not_run)
    return Result(name, version, "ran", len(cases) - len(findings), outputs, tuple(findings))


def side_by_side(cases: Sequence[Case]) -> tuple[QuantizedModel, Int8Array]:
    """One model of all cases, each with its own inputs and outputs; and the inputs ``[64, values]``."""
    layers: list[Layer] = []
    reads: list[tuple[int, ...]] = []
    results: list[int] = []
    inputs = 0
    for case in cases:
        first = len(layers)
        layers += case.model.layers
        reads += [
            tuple(source + first if source >= 0 else source - inputs for source in sources)
            for sources in case.model.reads
        ]
        results += [index + first for index in case.model.results]
        inputs += len(case.model.inputs)
    model = QuantizedModel(tuple(layers), {}, tuple(reads), tuple(results))
    return model, np.concatenate([case.inputs for case in cases], axis=1)


def _wrong_together(engine: Engine, cases: Sequence[Case], files: Files) -> list[Case]:
    """The cases to be asked alone: those that are wrong side by side. Where the engine does not take so many, or one of
    them, it gets each half."""
    if len(cases) == 1:
        return list(cases)
    wrong = _wrong_of(engine, cases, files)
    if wrong is None:
        half = len(cases) // 2
        parts = (cases[:half], cases[half:])
        return [case for part in parts for case in _wrong_together(engine, part, files)]
    return wrong


def _wrong_of(engine: Engine, cases: Sequence[Case], files: Files) -> list[Case] | None:
    """The cases that are wrong side by side; None where that cannot be run."""
    model, inputs = side_by_side(cases)
    try:
        with files(model) as path:
            if isinstance(path, Absent):
                return None
            got = engine.run(path, inputs)
    except Exception:  # whatever it is, the cases alone will say
        return None
    ends = np.cumsum([math.prod(case.model.output.shape) for case in cases])
    if got.dtype != np.int8 or got.shape != (len(inputs), ends[-1]):
        return None
    parts = np.split(got, ends[:-1], axis=1)
    return [case for case, part in zip(cases, parts, strict=True) if (part != expected(case)).any()]


def _alone(engine: Engine, case: Case, files: Files) -> Finding | None:
    try:
        with files(case.model) as path:
            if isinstance(path, Absent):
                return Finding(case.name, "left out", message=path.reason)
            got = engine.run(path, case.images)
    except MissingToolError:  # a compiler: nothing can be said of any case
        raise
    except Exception as error:  # whatever a runtime raises is its failure
        said = str(error) if isinstance(error, LenetEdgeError) else f"{type(error).__name__}: {error}"
        return Finding(case.name, "failed", message=said)
    right = expected(case)
    if got.dtype != np.int8 or got.shape != right.shape:
        message = f"it gave {got.dtype}{list(got.shape)} instead of int8{list(right.shape)}"
        return Finding(case.name, "failed", message=message)
    wrong = got != right
    if not wrong.any():
        return None
    row, column = (int(index) for index in np.argwhere(wrong)[0])
    first = (row, column, int(right[row, column]), int(got[row, column]))
    return Finding(case.name, "wrong", int(wrong.sum()), wrong.size, *first)
