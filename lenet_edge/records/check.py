"""The record of `check`: what `flash` and `budget` judge by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenet_edge.files import to_json, write_file
from lenet_edge.records.fields import (
    BOARD,
    SHA256,
    Fields,
    WrongRecordError,
    load_object,
    read_record,
    require_format,
    shown,
)

__all__ = ["CHECK_FORMAT", "CheckRecord", "EngineRecord", "parse_check", "read_check", "write_check"]

CHECK_FORMAT = 2
"""Of the records as this version writes and reads them; another number is another version's."""

_ENGINE = r"[A-Za-z0-9_.:/-]{1,200}"
_STATUSES = ("ran", "absent", "failed")
_FIGURES = ("logits_differ", "images_differ", "argmax_differ", "max_abs_difference")
_LARGEST_DIFFERENCE = 255  # of two int8
_CLOSE = 1e-6  # of figures that are computed from one another in floating point
_BOARD_ENGINE = rf"board:({BOARD})/(unicorn|qemu|simavr)"
_LONGEST_RUN_S = 1e9


@dataclass(frozen=True)
class EngineRecord:
    """What `check` says of one engine; what was not measured is None.

    Attributes:
        status: "ran", "absent" or "failed".
        images: on which it ran.
    """

    name: str
    status: str
    images: int
    accuracy: float | None
    logits_differ: int | None
    images_differ: int | None
    argmax_differ: int | None
    max_abs_difference: int | None


@dataclass(frozen=True)
class CheckRecord:
    """A check: of which model, on which images, with what result.

    Attributes:
        data: the data set as it was named on the command line.
        data_sha256: of its test set, as `datasets.data_sha256` has it.
        data_images: how many images that has; the first `images` of them ran.
        float_accuracy, int8_accuracy: 0..1; None where there was no float model, or no labels.
        float_sha256: of the file of the float model, where there was one.
        drop_points: percentage points that int8 loses.
        firmware: board -> SHA-256 of the image that ran in its emulator.
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
    max_drop: float
    passed: bool
    problems: tuple[str, ...]
    engines: tuple[EngineRecord, ...]
    firmware: Mapping[str, str]


def read_check(path: Path) -> CheckRecord:
    """The record of `check` in a file.

    Raises:
        BadInputError: it is missing, not such a record, another version's, or contradicts itself.
    """
    return read_record(path, parse_check, "lenet-edge check")


def write_check(path: Path, content: Mapping[str, Any]) -> None:
    """Write a record of `check`, which this version then reads.

    Raises:
        BadInputError: it cannot be written.
        WrongRecordError: it is not such a record, which is our fault.
    """
    data = to_json(content).encode()
    parse_check(load_object(data))
    write_file(path, data)


def parse_check(content: Mapping[str, Any]) -> CheckRecord:
    """A record of `check`, from its JSON object.

    Raises:
        WrongRecordError: a field is missing, of another type or out of range, or fields contradict each other.
    """
    fields = Fields(content)
    if not fields.has("engines"):
        raise WrongRecordError("engines is missing")
    require_format(fields, CHECK_FORMAT, numbered=True)
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
        max_drop=fields.number("max_drop", 0, 1e9),
        passed=fields.flag("passed"),
        problems=fields.texts("problems"),
        engines=tuple(map(_engine, fields.objects("engines"))),
        firmware={board: firmware.text(board, SHA256) for board in firmware.items()},
    )
    _shown_only(fields)
    for check in (_counts, _accuracies, _ran, _verdict):
        if problem := check(record):
            raise WrongRecordError(problem)
    return record


def _shown_only(fields: Fields) -> None:
    """What nothing is judged by is no less a part of the record; and a word that it does not have is a mistake."""
    interval = fields.given("drop_interval", fields.numbers, -100, 100)
    if interval is not None and (len(interval) != 2 or interval[0] > interval[1]):
        raise fields.wrong("drop_interval", "two numbers, the lower one first")
    fields.given("mcnemar_p", fields.number, 0, 1)
    fields.given("warnings", fields.texts)
    fields.require_known()


def _engine_shown_only(fields: Fields, images: int) -> None:
    for name in ("version", "artefact", "message", "rule"):
        fields.given(name, fields.text)
    fields.given("seconds", fields.number, 0, _LONGEST_RUN_S)
    fields.given("beyond_rule", fields.count)
    first = fields.given("first_difference", fields.table)
    if first is not None:
        first.count("image", most=max(images - 1, 0))
        first.count("logit")
        for name in ("expected", "actual"):
            first.number(name, -128, 127)
        for name in ("layer", "note"):
            first.given(name, first.text)
        first.require_known()
    fields.require_known()


def _engine(fields: Fields) -> EngineRecord:
    status = fields.text("status")
    if status not in _STATUSES:
        raise fields.wrong("status", f"one of {', '.join(_STATUSES)}")
    figures = {name: fields.optional(name, fields.count) for name in _FIGURES}
    name, images = fields.text("name", _ENGINE), fields.count("images")
    accuracy = fields.optional("accuracy", fields.number, 0, 1)
    _engine_shown_only(fields, images)
    record = EngineRecord(name, status, images, accuracy, **figures)
    if status == "ran":
        logits, differ, argmax, largest = figures.values()
        if logits is None or differ is None or largest is None:
            raise WrongRecordError(f"{name} ran, and there are no figures of it")
        # The outputs of some models are not classes, and have no arg-max.
        if problem := _figures_problem(record, logits, differ, argmax or 0, largest):
            raise WrongRecordError(f"{name}: {problem}")
    if status != "ran" and any(value is not None for value in (*figures.values(), record.accuracy)):
        raise WrongRecordError(f"{name} is {status}, and there are figures of it")
    return record


def _figures_problem(record: EngineRecord, logits: int, images: int, argmax: int, largest: int) -> str:
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


def _ran(record: CheckRecord) -> str:
    """The reference is what the others are compared with; what a board ran is named by its hash."""
    ran = {engine.name: engine for engine in record.engines if engine.status == "ran"}
    if "reference" not in ran or ran["reference"].logits_differ:
        return "the reference, which all are compared with, did not run"
    for name in ran:
        board = re.fullmatch(_BOARD_ENGINE, name)
        if name.startswith("board:") and (board is None or board[1] not in record.firmware):
            return f"{name} ran, and it does not say which image"
    unknown = [board for board in record.firmware if not re.fullmatch(BOARD, board)]
    return f"{shown(unknown[0])} is not a board's name" if unknown else ""


def _verdict(record: CheckRecord) -> str:
    """`passed` follows from the rest; it is never believed alone."""
    if record.passed == bool(record.problems):
        return f"passed is {str(record.passed).lower()}, with {len(record.problems)} problems"
    if not record.passed:
        return ""
    for engine in record.engines:
        if engine.status == "failed" or engine.logits_differ:
            return f"it says that it passed, and {engine.name} {'failed' if engine.status == 'failed' else 'differs'}"
    ran = [engine.name for engine in record.engines if engine.status == "ran"]
    if "tflm" not in ran or not any(name.startswith("litert-") for name in ran):
        return "it says that it passed, and TFLM or LiteRT did not run"
    if record.drop_points is not None and record.drop_points > record.max_drop + _CLOSE:
        return f"it says that it passed, and int8 loses {record.drop_points} points of at most {record.max_drop}"
    return ""
