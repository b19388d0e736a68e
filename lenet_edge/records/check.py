"""The record of `check`: what `flash` and `budget` judge by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lenet_edge.records.confusion import Confusion, parse_confusion
from lenet_edge.records.fields import (
    BOARD,
    SHA256,
    Fields,
    WrongRecordError,
    content_of,
    read_record,
    require_format,
    shown,
    write_record,
)

__all__ = [
    "CHECK_FORMAT",
    "OUR_C",
    "CheckRecord",
    "Difference",
    "EngineResult",
    "parse_check",
    "read_check",
    "shortfall",
    "write_check",
]

CHECK_FORMAT = 3
"""In the first the reference had another name. The second, which is still read, had no confusion matrix."""

_WITHOUT_CONFUSION = 2

Status: TypeAlias = Literal["ran", "absent", "failed"]

OUR_C = "host_c"
"""The engine of our C on this machine; those of other kernel families begin with its name."""

_ENGINE = r"[A-Za-z0-9_.:/-]{1,200}"
_STATUSES = ("ran", "absent", "failed")
_FIGURES = ("logits_differ", "images_differ", "argmax_differ", "max_abs_difference")
_LARGEST_DIFFERENCE = 255  # of two int8
_CLOSE = 1e-6  # of figures that are computed from one another in floating point
_BOARD_ENGINE = rf"board:({BOARD})/(unicorn|qemu|simavr)"
_LONGEST_RUN_S = 1e9


@dataclass(frozen=True)
class Difference:
    """The first logit in which an engine differs from the reference.

    Attributes:
        image, logit: their numbers.
        expected, actual: the reference's and the engine's value.
        layer: the first layer whose integers differ for that image; None where the engine exposes no layer outputs.
        note: why there is no layer, or what is odd about the layers.
    """

    image: int
    logit: int
    expected: int
    actual: int
    layer: str | None = None
    note: str = ""


@dataclass(frozen=True)
class EngineResult:
    """What one engine did; what was not measured is None.

    Attributes:
        status: "ran", "absent" (not installed, or the file it needs is missing) or "failed".
        images: on which it ran.
        accuracy: 0..1.
        artefact: the file that it ran.
        message: of an absent engine what installs it, of a failed one what it said.
        rule: the rounding rules the runtime uses by operator, where they are known.
        beyond_rule: logits that differ from the reference run under those rules.
    """

    name: str
    version: str | None
    status: Status
    images: int = 0
    accuracy: float | None = None
    logits_differ: int | None = None
    images_differ: int | None = None
    argmax_differ: int | None = None
    max_abs_difference: int | None = None
    seconds: float | None = None
    artefact: str | None = None
    message: str = ""
    rule: str = ""
    beyond_rule: int | None = None
    first_difference: Difference | None = None


@dataclass(frozen=True)
class CheckRecord:
    """A check: of which model, on which images, with what result.

    Attributes:
        data: the data set as it was named on the command line.
        data_sha256: of its test set, as `datasets.data_sha256` has it.
        data_images: how many images that has; the first `images` of them ran.
        float_accuracy, int8_accuracy: 0..1; None if there was no float model, or no labels.
        float_sha256: of the file of the float model, if there was one.
        drop_points, drop_interval: percentage points that int8 loses, and their 95 % interval.
        mcnemar_p: McNemar's exact p.
        confusion: what int8 took for what; None without labels or classes, and in older records.
        firmware: board -> SHA-256 of the firmware that ran in its emulator.
        like: the runtime that our C and the boards have to agree with; None if all have to agree with all.
    """

    fingerprint: str
    data: str
    data_sha256: str
    data_images: int
    images: int
    float_accuracy: float | None
    float_sha256: str | None
    int8_accuracy: float | None
    drop_points: float | None
    drop_interval: tuple[float, float] | None
    mcnemar_p: float | None
    confusion: Confusion | None
    max_drop: float
    passed: bool
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    engines: tuple[EngineResult, ...]
    firmware: Mapping[str, str]
    like: str | None

    def content(self) -> dict[str, Any]:
        """The record's JSON object."""
        return content_of(self, CHECK_FORMAT)


def read_check(path: Path) -> CheckRecord:
    """The record of `check` in a file.

    Raises:
        BadInputError: it is missing, not such a record, another version's, or contradicts itself.
    """
    return read_record(path, parse_check, "lenet-edge check")


def write_check(path: Path, record: CheckRecord) -> None:
    """Write a record of `check`; errors as of `write_record`."""
    write_record(path, record.content(), parse_check)


def parse_check(content: Mapping[str, Any]) -> CheckRecord:
    """A record of `check`, from its JSON object.

    Raises:
        WrongRecordError: a field is missing, of another type or out of range, or fields contradict each other.
    """
    fields = Fields(content)
    if not fields.has("engines"):
        raise WrongRecordError("engines is missing")
    old = content.get("format") == _WITHOUT_CONFUSION and not fields.has("confusion")
    require_format(fields, _WITHOUT_CONFUSION if old else CHECK_FORMAT, numbered=True)
    firmware = fields.table("firmware")
    record = CheckRecord(
        fingerprint=fields.text("fingerprint", SHA256),
        data=fields.text("data"),
        data_sha256=fields.text("data_sha256", SHA256),
        data_images=fields.count("data_images", least=1),
        images=fields.count("images", least=1),
        float_accuracy=fields.optional("float_accuracy", fields.number, 0, 1),
        float_sha256=fields.optional("float_sha256", fields.text, SHA256),
        int8_accuracy=fields.optional("int8_accuracy", fields.number, 0, 1),
        drop_points=fields.optional("drop_points", fields.number, -100, 100),
        drop_interval=_interval(fields),
        mcnemar_p=fields.optional("mcnemar_p", fields.number, 0, 1),
        confusion=None if old else parse_confusion(fields, "confusion"),
        max_drop=fields.number("max_drop", 0, 1e9),
        passed=fields.flag("passed"),
        problems=fields.texts("problems"),
        warnings=fields.texts("warnings"),
        engines=tuple(map(_engine, fields.objects("engines"))),
        firmware={board: firmware.text(board, SHA256) for board in firmware.items()},
        like=None if old else fields.optional("like", fields.text, _ENGINE),
    )
    fields.require_known()
    if not old and (record.confusion is None) != (record.int8_accuracy is None):
        raise WrongRecordError("it has only one of accuracy and confusion matrix")
    for check in (_counts, _accuracies, _matrix, _ran, _verdict):
        if problem := check(record):
            raise WrongRecordError(problem)
    return record


def _interval(fields: Fields) -> tuple[float, float] | None:
    interval = fields.optional("drop_interval", fields.numbers, -100, 100)
    if interval is None:
        return None
    if len(interval) != 2 or interval[0] > interval[1]:
        raise fields.wrong("drop_interval", "two numbers, the lower one first")
    return interval[0], interval[1]


def _engine(fields: Fields) -> EngineResult:
    status = fields.text("status")
    if status not in _STATUSES:
        raise fields.wrong("status", f"one of {', '.join(_STATUSES)}")
    figures = {name: fields.optional(name, fields.count) for name in _FIGURES}
    name, images = fields.text("name", _ENGINE), fields.count("images")
    result = EngineResult(
        name=name,
        version=fields.optional("version", fields.text),
        status=status,  # type: ignore[arg-type]
        images=images,
        accuracy=fields.optional("accuracy", fields.number, 0, 1),
        **figures,
        seconds=fields.optional("seconds", fields.number, 0, _LONGEST_RUN_S),
        artefact=fields.optional("artefact", fields.text),
        message=fields.text("message"),
        rule=fields.text("rule"),
        beyond_rule=fields.optional("beyond_rule", fields.count),
        first_difference=_difference(fields, images),
    )
    fields.require_known()
    if problem := _engine_problem(result):
        raise WrongRecordError(problem)
    return result


def _difference(fields: Fields, images: int) -> Difference | None:
    first: Fields | None = fields.optional("first_difference", fields.table)
    if first is None:
        return None
    difference = Difference(
        image=first.count("image", most=max(images - 1, 0)),
        logit=first.count("logit"),
        expected=first.count("expected", most=127, least=-128),
        actual=first.count("actual", most=127, least=-128),
        layer=first.optional("layer", first.text),
        note=first.text("note"),
    )
    first.require_known()
    return difference


def _engine_problem(result: EngineResult) -> str:
    """What its status and its figures contradict each other in; empty where they do not."""
    name, logits, differ, largest = (
        result.name,
        result.logits_differ,
        result.images_differ,
        result.max_abs_difference,
    )
    if result.status == "ran":
        if logits is None or differ is None or largest is None:
            return f"{name} ran, and its figures are missing"
        # The outputs of some models are not classes, and have no arg-max.
        problem = _figures_problem(result, logits, differ, result.argmax_differ or 0, largest)
        return f"{name}: {problem}" if problem else ""
    if any(value is not None for value in (logits, differ, result.argmax_differ, largest, result.accuracy)):
        return f"{name} is {result.status}, and there are figures of it"
    return ""


def _figures_problem(record: EngineResult, logits: int, images: int, argmax: int, largest: int) -> str:
    """Whether they can be of the same logits."""
    if not argmax <= images <= logits or images > record.images:
        return (
            f"{logits:,} logits, {images:,} of {record.images:,} images and {argmax:,} classes differ, which cannot be"
        )
    if (logits == 0) != (images == 0) or (logits == 0) != (largest == 0) or largest > _LARGEST_DIFFERENCE:
        return f"{logits:,} logits in {images:,} images differ by at most {largest:,}, which cannot be"
    return ""


def _counts(record: CheckRecord) -> str:
    if record.images > record.data_images:
        return f"it is of {record.images:,} images, and its data has {record.data_images:,}"
    names = [engine.name for engine in record.engines]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return f"it has the engine {twice[0]} twice"
    for engine in record.engines:
        if engine.status == "ran" and engine.images != record.images:
            return f"{engine.name} ran on {engine.images:,} images, and the check is of {record.images:,}"
        if engine.status == "absent" and engine.images:
            return f"{engine.name} is absent, and it says that it ran on {engine.images:,} images"
    classes = {engine.argmax_differ is not None for engine in record.engines if engine.status == "ran"}
    if len(classes) > 1:
        return "it has the classes of a part of the engines only"
    return ""


def _accuracies(record: CheckRecord) -> str:
    """Accuracies are shares of the images; equal logits have equal ones; the drop is their difference."""
    for of, share in [("float", record.float_accuracy), *((engine.name, engine.accuracy) for engine in record.engines)]:
        if share is not None and abs(share * record.images - round(share * record.images)) > _CLOSE:
            return f"{of}: an accuracy of {share} is not one of {record.images:,} images"
    for engine in record.engines:
        if engine.status == "ran" and engine.logits_differ == 0 and engine.accuracy != record.int8_accuracy:
            return f"{engine.name} has the same logits, and another accuracy"
    parts = (record.float_accuracy, record.float_sha256, record.drop_points)
    compared = {part is not None for part in parts}
    if len(compared) > 1 or (compared == {True} and record.int8_accuracy is None):
        return "it has a part of the comparison with the float model only"
    if record.float_accuracy is not None and record.int8_accuracy is not None and record.drop_points is not None:
        drop = 100 * (record.float_accuracy - record.int8_accuracy)
        if abs(drop - record.drop_points) > _CLOSE:
            return f"its drop is {record.drop_points} points, and its accuracies differ by {drop:.4f}"
    return ""


def _matrix(record: CheckRecord) -> str:
    """The confusion matrix is of all images, and has as many right as the accuracy says."""
    found = record.confusion
    if found is None or record.int8_accuracy is None:
        return ""
    if found.images != record.images:
        return f"its confusion matrix is of {found.images:,} images, but the check is of {record.images:,}"
    if abs(found.right - record.int8_accuracy * record.images) > _CLOSE:
        return (
            f"its confusion matrix has {found.right:,} right, which contradicts its accuracy of {record.int8_accuracy}"
        )
    return ""


def _ran(record: CheckRecord) -> str:
    """The reference is what the others are compared with; what a board ran is named by its hash."""
    ran = {engine.name: engine for engine in record.engines if engine.status == "ran"}
    if "reference" not in ran or ran["reference"].logits_differ:
        return "the reference, which all are compared with, did not run"
    for name in ran:
        board = re.fullmatch(_BOARD_ENGINE, name)
        if name.startswith("board:") and (board is None or board[1] not in record.firmware):
            return f"{name} ran, and it does not say which firmware"
    unknown = [board for board in record.firmware if not re.fullmatch(BOARD, board)]
    return f"{shown(unknown[0])} is not a board's name" if unknown else ""


def _verdict(record: CheckRecord) -> str:
    """`passed` follows from the rest; it is never believed alone."""
    if record.passed == bool(record.problems):
        return f"passed is {str(record.passed).lower()}, with {len(record.problems)} problems"
    if not record.passed:
        return ""
    for engine in record.engines:
        if problem := shortfall(engine, record.like):
            return f"it says that it passed, but {problem}"
    ran = [engine.name for engine in record.engines if engine.status == "ran"]
    if record.like is not None:
        missing = [name for name in (record.like, OUR_C) if name not in ran]
        return f"it says that it passed, but {missing[0]} did not run" if missing else ""
    if "tflm" not in ran or not any(name.startswith("litert-") for name in ran):
        return "it says that it passed, but TFLM or LiteRT did not run"
    if record.drop_points is not None and record.drop_points > record.max_drop + _CLOSE:
        return f"it says that it passed, but int8 loses {record.drop_points} points of at most {record.max_drop}"
    return ""


def shortfall(engine: EngineResult, like: str | None) -> str:
    """Why a result makes a check fail; "" if it does not.

    Args:
        like: the runtime that our C and the boards have to agree with. The others may then differ, but only as their
            rounding predicts, if that is known. None: all have to agree, except those that are absent.
    """
    held = like is None or engine.name == like or engine.name.startswith((OUR_C, "board:"))
    if engine.status == "failed":
        return f"{engine.name} failed: {engine.message}" if held else ""
    if engine.status == "absent" and like is not None and engine.name.startswith("board:"):
        return f"{engine.name} did not run: {engine.message}"
    if engine.logits_differ and held:
        return f"{engine.name}: {engine.logits_differ} logits differ from the reference"
    if engine.beyond_rule:
        return f"{engine.name}: {engine.beyond_rule} logits are not what its rounding gives"
    return ""
