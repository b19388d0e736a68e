"""Decides which steps to do and why, and does them; a record keeps the inputs and the results of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lenet_edge.errors import BadInputError, LenetEdgeError
from lenet_edge.records import PipelineRecord, StepRecord, read_pipeline, write_pipeline

__all__ = ["Outcome", "Step", "run_steps"]

Digests: TypeAlias = Mapping[str, str]

_NAMED = 3  # of many things that changed


@dataclass(frozen=True)
class Step:
    """A step.

    Attributes:
        name: such as "train".
        inputs: what it would be done from now, by name; asked for after the steps before it.
        outputs: SHA-256 of its results as they are now, by name; missing ones are left out.
        work: does it.
    """

    name: str
    inputs: Callable[[], Digests]
    outputs: Callable[[], Digests]
    work: Callable[[], object]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a step: why it was done, empty if it was not, and the seconds that it took."""

    name: str
    why: str
    seconds: float


def run_steps(
    steps: Sequence[Step],
    path: Path,
    *,
    again: bool = False,
    say: Callable[[str], None],
    done: Callable[[Outcome], None],
) -> None:
    """Do the steps in order, and skip a step whose inputs and outputs are those of the record.

    The record is written after each step. A step that fails or is interrupted is not recorded as done, and neither are
    those after it, unless they were done before from the same inputs.

    Args:
        path: of the record; one that cannot be used is replaced.
        again: do all of them, whatever the record says.
        say: called with each step's number, name, and why it is done or not.
        done: called with the outcome of each.

    Raises:
        LenetEdgeError: a step's own, with the name of the step in front of its message.
    """
    known = {step.name: step for step in _read(path, say).steps}
    for number, step in enumerate(steps, 1):
        began = time.perf_counter()
        with _named(step.name):
            inputs = dict(step.inputs())
            why = "asked for" if again else _why(known.get(step.name), inputs, step.outputs())
            say(f"[{number}/{len(steps)}] {step.name}: {why or 'unchanged'}")
            if why:
                step.work()
                known[step.name] = StepRecord(step.name, inputs, dict(step.outputs()))
                write_pipeline(path, PipelineRecord(tuple(known.values())))
        done(Outcome(step.name, why, time.perf_counter() - began))


def _read(path: Path, say: Callable[[str], None]) -> PipelineRecord:
    """The record, or an empty one."""
    try:
        return read_pipeline(path)
    except BadInputError as error:
        if path.exists():
            say(f"{error} Every step is repeated.")
        return PipelineRecord(())


def _why(known: StepRecord | None, inputs: Digests, outputs: Digests) -> str:
    """Why to do a step; empty if it need not be done."""
    if known is None:
        return "not done yet"
    if changed := _differing(known.inputs, inputs):
        return f"changed: {_listed(changed)}"
    missing = sorted(known.outputs.keys() - outputs.keys())
    if missing or not known.outputs:
        return f"missing: {_listed(missing or ['what it left'])}"
    if edited := _differing(known.outputs, outputs):
        return f"not as it was left: {_listed(edited)}"
    return ""


def _differing(there: Digests, here: Digests) -> list[str]:
    return [name for name in dict.fromkeys((*here, *there)) if there.get(name) != here.get(name)]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


@contextmanager
def _named(step: str) -> Iterator[None]:
    """Put the step's name in front of the message of an error that is for the user."""
    try:
        yield
    except LenetEdgeError as error:
        raise type(error)(f"{step}: {error}") from error
