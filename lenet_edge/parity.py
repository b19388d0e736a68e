"""The comparison of all engines: every logit of every image against the reference, and int8 against float."""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge import children
from lenet_edge.engines import ENGINES, Absent, Engine
from lenet_edge.errors import LenetEdgeError, MissingToolError, NothingToRunError
from lenet_edge.quantized.like import original
from lenet_edge.quantized.meaning import Meaning, meaning_of
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.reference import layer_outputs, run
from lenet_edge.quantized.runtimes import RUNTIMES, rules_of, unknown_layers
from lenet_edge.records import OUR_C, CheckRecord, Difference, EngineResult, shortfall
from lenet_edge.significance import mcnemar_exact, paired_interval

__all__ = [
    "Check",
    "Difference",
    "EngineResult",
    "FloatComparison",
    "board_of",
    "check",
    "compare_with_float",
    "judge",
    "shortfall",
    "with_board",
]

Int8Array: TypeAlias = npt.NDArray[np.int8]
Labels: TypeAlias = npt.NDArray[np.uint8 | np.int32] | None

REFERENCE = "reference"
_AT_ONCE = 2  # engines in worker processes at once


@dataclass(frozen=True)
class FloatComparison:
    """Float against int8 on the same images; accuracies and interval 0..1, the drop in percentage points."""

    float_accuracy: float
    drop_points: float
    drop_interval: tuple[float, float]
    mcnemar_p: float


@dataclass(frozen=True)
class Check:
    """The result of `check`: engines, accuracies, the reference's logits, and every reason why it did not pass.

    `like` is the runtime that our C and the boards had to agree with; None if all had to agree with all.
    """

    fingerprint: str
    images: int
    int8_accuracy: float | None
    comparison: FloatComparison | None
    engines: tuple[EngineResult, ...]
    problems: tuple[str, ...] = field(default=())
    like: str | None = None
    logits: Int8Array | None = field(default=None, repr=False, compare=False)

    @property
    def passed(self) -> bool:
        return not self.problems


def check(
    model: QuantizedModel,
    artefacts: Mapping[str, Path | Absent],
    images: Int8Array,
    labels: Labels,
    *,
    engines: Mapping[str, Engine] = ENGINES,
    float_logits: npt.NDArray[np.float32] | None = None,
    predict: bool = False,
    report: Callable[[EngineResult], None] = lambda _: None,
) -> Check:
    """Run the engines on the images and compare every logit with the reference's.

    Args:
        model: what the reference runs, read from the same .tflite that the engines get, or what `like.as_computed_by`
            made of that.
        artefacts: kind of file -> path, or why there is none.
        images: int8 ``[n, h, w, c]``.
        labels: ``[n]``, or None if the images have none; they count only if the outputs are classes.
        engines: those to run, by name.
        float_logits: the float network's, ``[n, classes]``, or None.
        predict: compare every engine with what its rounding predicts, not only those that differ.
        report: called with each result as it comes.

    Returns:
        The results, without a verdict: see `judge`.

    Raises:
        BadInputError: a label is not a class of the model.
    """
    began = time.perf_counter()
    truth = _truth(model, images, labels, predict=predict)
    reference = truth.result(time.perf_counter() - began)
    report(reference)
    others = _at_once(
        lambda name: _result(name, engines[name], artefacts[engines[name].artefact], truth), tuple(engines), report
    )
    comparison = None
    if float_logits is not None and truth.labels is not None:
        int8_classes = truth.meaning.predictions(truth.expected)
        comparison = compare_with_float(float_logits.argmax(axis=1), int8_classes, truth.labels)
    results = (reference, *others)
    return Check(model.fingerprint, len(images), reference.accuracy, comparison, results, logits=truth.expected)


@dataclass(frozen=True, eq=False)
class _Truth:
    """What engines are compared with.

    Attributes:
        labels: None if there are none, or if the outputs are not classes.
        expected: the reference's logits.
        by_rule: rounding rules -> the logits that they give, for those that were needed.
        predict: as of `check`.
    """

    model: QuantizedModel
    meaning: Meaning
    images: Int8Array
    labels: Labels
    expected: Int8Array
    by_rule: dict[Any, Int8Array]
    predict: bool

    def accuracy(self, logits: Int8Array) -> float | None:
        return None if self.labels is None else float((self.meaning.predictions(logits) == self.labels).mean())

    def result(self, seconds: float) -> EngineResult:
        """The reference's own."""
        same = 0 if self.meaning.kind != "values" else None
        accuracy = self.accuracy(self.expected)
        return EngineResult(REFERENCE, None, "ran", len(self.images), accuracy, 0, 0, same, 0, seconds)


def _truth(model: QuantizedModel, images: Int8Array, labels: Labels, *, predict: bool) -> _Truth:
    meaning = meaning_of(model)
    if meaning.kind == "values":
        labels = None
    if labels is not None:
        meaning.require_labels(labels, "the images")
    expected = run(model, images)
    known = {RUNTIMES["tflm"]: expected} if original(model) is model else {}
    return _Truth(model, meaning, images, labels, expected, known, predict)


def _result(name: str, engine: Engine, artefact: Path | Absent, truth: _Truth) -> EngineResult:
    """What one engine did, compared with the reference."""
    result, logits = _run_engine(name, engine, artefact, truth.images)
    if logits is None:
        return result
    result = _compare(result, logits, truth)
    if result.logits_differ or (truth.predict and result.status == "ran"):
        result = _predict(result, logits, truth)
    return _explain(result, engine, artefact, logits, truth) if result.logits_differ else result


def _at_once(
    one: Callable[[str], EngineResult], engines: Sequence[str], report: Callable[[EngineResult], None]
) -> list[EngineResult]:
    """The results in the order of the engines; Ctrl-C ends what is running instead of waiting for it."""
    interrupted = Event()

    def reported(name: str) -> EngineResult:
        result = one(name)
        if not interrupted.is_set():
            report(result)
        return result

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        futures = [pool.submit(copy_context().run, reported, name) for name in engines]
        try:
            return [future.result() for future in futures]
        except BaseException:
            interrupted.set()
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in futures):
                children.end_all()  # again and again: an engine may be about to start its next one
                time.sleep(0.02)
            raise


def judge(result: Check, *, max_drop: float, require_all: bool, like: str | None = None) -> Check:
    """The verdict: every reason why the check falls short.

    Args:
        max_drop: percentage points of accuracy that int8 may lose.
        require_all: an absent engine is a failure.
        like: the runtime that our C and the boards have to agree with; without it all engines have to agree.
    """
    problems = []
    for engine in result.engines:
        if problem := shortfall(engine, like):
            problems.append(problem)
        elif engine.status != "ran" and require_all:
            problems.append(f"{engine.name} is {engine.status}: {engine.message}")
    ran = {engine.name for engine in result.engines if engine.status == "ran"}
    if like is not None:
        problems += [f"{name} did not run, so nothing is known about it" for name in (like, OUR_C) if name not in ran]
    elif "tflm" not in ran:
        problems.append("TFLM did not run; a check without it proves nothing about a microcontroller")
    if like is None and not any(name.startswith("litert-") for name in ran):
        problems.append("no LiteRT engine ran; add one, such as --engine litert-builtin")
    if result.comparison is not None and result.comparison.drop_points > max_drop + 1e-9:
        problems.append(f"int8 loses {result.comparison.drop_points:.2f} points, more than {max_drop:.2f}")
    return replace(result, problems=tuple(problems), like=like)


def with_board(record: CheckRecord, found: Check, firmware: Mapping[str, str]) -> CheckRecord:
    """The record of a check with the results of boards that ran later on the same images, judged again.

    Args:
        found: the boards' results, beside the reference's; they replace earlier ones of the same boards.
        firmware: board -> SHA-256 of what ran there.
    """
    added = tuple(engine for engine in found.engines if engine.name != REFERENCE)
    again = {board_of(engine.name) for engine in added}
    kept = tuple(engine for engine in record.engines if board_of(engine.name) not in again)
    whole = Check(record.fingerprint, record.images, record.int8_accuracy, _comparison(record), (*kept, *added))
    problems = judge(whole, max_drop=record.max_drop, require_all=False, like=record.like).problems
    return replace(
        record,
        engines=whole.engines,
        firmware={**record.firmware, **firmware},
        problems=problems,
        passed=not problems,
    )


def board_of(engine: str) -> str:
    """The board of an engine ``board:NAME/EMULATOR``; empty for another engine."""
    kind, _, rest = engine.partition(":")
    return rest.partition("/")[0] if kind == "board" else ""


def _comparison(record: CheckRecord) -> FloatComparison | None:
    """The comparison with the float model that a record has."""
    parts = (record.float_accuracy, record.drop_points, record.drop_interval, record.mcnemar_p)
    return None if None in parts else FloatComparison(*parts)  # type: ignore[arg-type]


def compare_with_float(
    float_classes: npt.NDArray[np.int64], int8_classes: npt.NDArray[np.int64], labels: npt.NDArray[np.uint8 | np.int32]
) -> FloatComparison:
    """Accuracy of the float network, the drop in points, its 95 % interval, McNemar's exact p.

    Args:
        float_classes, int8_classes: what the two networks say, ``[n]``.
        labels: what is right, ``[n]``.
    """
    float_right = float_classes == labels
    int8_right = int8_classes == labels
    only_float, only_int8 = int((float_right & ~int8_right).sum()), int((int8_right & ~float_right).sum())
    low, high = paired_interval(only_float, only_int8, len(float_right))
    return FloatComparison(
        float_accuracy=float(float_right.mean()),
        drop_points=100 * (only_float - only_int8) / len(float_right),
        drop_interval=(100 * low, 100 * high),
        mcnemar_p=mcnemar_exact(only_float, only_int8),
    )


def _run_engine(
    name: str, engine: Engine, artefact: Path | Absent, images: Int8Array
) -> tuple[EngineResult, Int8Array | None]:
    version = None
    started = time.perf_counter()
    try:
        version = engine.version()
        if isinstance(artefact, Absent):
            return EngineResult(name, version, "absent", message=_text(artefact.reason)), None
        started = time.perf_counter()
        logits = engine.run(artefact, images)
    except MissingToolError as error:
        if version is None:
            return EngineResult(name, None, "absent", message=engine.install_command()), None
        return EngineResult(name, version, "failed", message=_said(error)), None
    except NothingToRunError as error:
        return EngineResult(name, version, "absent", message=_said(error)), None
    except Exception as error:  # whatever a runtime raises is that engine's failure, and fails the check
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # but a full disk is nobody's
        return EngineResult(name, version, "failed", message=_said(error)), None
    seconds = time.perf_counter() - started
    return EngineResult(name, version, "ran", len(images), seconds=seconds, artefact=_text(artefact.name)), logits


def _said(error: Exception) -> str:
    """What an engine's error says; one that is not ours comes with its type."""
    return _text(str(error) if isinstance(error, LenetEdgeError) else f"{type(error).__name__}: {error}")


def _text(message: str) -> str:
    """A message for the record: a path in it that is not UTF-8 has halves of surrogate pairs, which are escaped."""
    return message.encode(errors="backslashreplace").decode()


def _compare(result: EngineResult, logits: Int8Array, truth: _Truth) -> EngineResult:
    expected, meaning = truth.expected, truth.meaning
    if logits.shape != expected.shape or logits.dtype != np.int8:
        message = f"it gave {logits.dtype}{list(logits.shape)} instead of int8{list(expected.shape)}"
        return replace(result, status="failed", message=message)
    difference = np.abs(logits.astype(np.int16) - expected)
    argmax_differ = None
    if meaning.kind != "values":
        argmax_differ = int((meaning.predictions(logits) != meaning.predictions(expected)).sum())
    return replace(
        result,
        accuracy=truth.accuracy(logits),
        logits_differ=int(np.count_nonzero(difference)),
        images_differ=int(difference.any(axis=1).sum()),
        argmax_differ=argmax_differ,
        max_abs_difference=int(difference.max(initial=0)),
    )


def _predict(result: EngineResult, logits: Int8Array, truth: _Truth) -> EngineResult:
    """Whether the runtime's own rules, if known, account for all of its outputs."""
    ours, model = result.name.startswith((OUR_C, "board:")), original(truth.model)
    if ours and model is not truth.model:
        return replace(result, rule=f"as of {truth.model.metadata['like']}", beyond_rule=result.logits_differ)
    rules = RUNTIMES["tflm"] if ours else rules_of(result.name, model)
    if rules is None or (rules == RUNTIMES["tflm"] and not result.logits_differ):
        return result
    if unknown := unknown_layers(model, rules):
        return replace(result, rule=f"unknown of {', '.join(unknown)}")
    if rules not in truth.by_rule:
        truth.by_rule[rules] = run(model, truth.images, rules)
    beyond = int(np.count_nonzero(truth.by_rule[rules] != logits))
    return replace(result, rule=rules.described(model), beyond_rule=beyond)


def _explain(
    result: EngineResult, engine: Engine, artefact: Path | Absent, logits: Int8Array, truth: _Truth
) -> EngineResult:
    """Name the first difference with its layer."""
    expected = truth.expected
    image, logit = (int(index) for index in np.argwhere(logits != expected)[0])
    difference = Difference(image, logit, int(expected[image, logit]), int(logits[image, logit]))
    assert isinstance(artefact, Path)
    first = _locate(difference, engine, artefact, truth.model, truth.images[image], logits[image])
    return replace(result, first_difference=first)


def _locate(
    difference: Difference, engine: Engine, path: Path, model: QuantizedModel, image: Int8Array, logits: Int8Array
) -> Difference:
    """The first layer at which the engine differs from the reference on that image.

    Looking can change what a runtime does (other kernels, other fusions), so the
    logits of the look are compared with those of the run. Layers that share a
    name cannot be told apart.
    """
    try:
        seen, seen_logits = engine.layer_outputs(path, image)
    except Exception as error:  # the difference stands, whatever happens while its layer is looked for
        return replace(difference, note=f"the engine exposes no layer outputs: {_said(error)}")
    same = np.array_equal(seen_logits, logits)
    note = "" if same else "looking at the layers changes the result, so the layer may be another"
    names = Counter(layer.name for layer in model.layers)
    for layer, outputs in zip(model.layers, layer_outputs(model, image[np.newaxis]), strict=True):
        told_apart = layer.name in seen and names[layer.name] == 1
        if told_apart and not np.array_equal(seen[layer.name].ravel(), outputs[0].ravel()):
            return replace(difference, layer=layer.name, note=note)
    return replace(difference, note=note or "no layer that the engine shows differs")
