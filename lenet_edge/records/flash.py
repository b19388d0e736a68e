"""The log of `flash`: a line of JSON for each event. One that begins and does not end is a flash that was cut off."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lenet_edge.errors import BadInputError
from lenet_edge.files import RECORD_BYTES, read_bytes
from lenet_edge.records.fields import (
    BOARD,
    SHA256,
    Fields,
    WrongRecordError,
    load_object,
    readable,
    require_format,
)

__all__ = ["FLASH_FORMAT", "FlashEvent", "FlashResult", "FlashStage", "append_flash", "parse_flash", "read_flash_log"]

FLASH_FORMAT = 1
"""Of the lines of the log.

Lines of earlier versions have no number. They lack what was found when a flash was done, and the oldest also the
policy, its data and `not_shown`. They are read all the same."""

Event: TypeAlias = Literal["refused", "begins", "done", "failed"]

_EVENTS = ("refused", "begins", "done", "failed")
_LONGEST_S = 1e9
_LARGEST_SIZE = 1 << 32


@dataclass(frozen=True)
class FlashStage:
    """One step of flashing: its name, what was seen, how long it took."""

    name: str
    found: str
    seconds: float


@dataclass(frozen=True)
class FlashResult:
    """What a flash that is done showed.

    Attributes:
        banner: what the board said when it started.
        images: how many ran on it; `logits_differ` of them from the reference.
        stack_used_bytes: the stack at its deepest, self-test and images; at most what is proved.
        stack_proved_bytes: of stack that are proved to be enough; None where nothing was proved.
        stack_problem: why nothing was.
    """

    stages: tuple[FlashStage, ...]
    banner: str
    images: int
    logits_differ: int
    stack_used_bytes: int
    stack_proved_bytes: int | None = None
    stack_problem: str | None = None


@dataclass(frozen=True)
class FlashEvent:
    """One line of the log.

    A flash adds "begins", and then "done" or "failed"; a refusal by the gate adds "refused". Nothing is added by a dry
    run, by a command that ends before the gate's verdict, and by one that passes the gate, forced or not, and fails
    before anything is written, as without a serial port.

    Attributes:
        time: ISO 8601, UTC.
        event: "refused", or "begins" and then "done" or "failed".
        image_sha256: of all that is loaded.
        policy: what the record of `check` had to show, and where that is from; empty in the oldest lines.
        data: the test set that the policy asks for; empty in the oldest lines.
        forced: whether a condition was overridden.
        passed_over: the problem of each condition that was not met: overridden by force, or why it was refused.
        not_shown: what nothing showed although the conditions are met.
        error: why it was refused, or failed.
        result: what it showed when it was done; None in a line of an earlier version.
    """

    time: str
    event: Event
    board: str
    fingerprint: str
    image_sha256: str
    tool: str
    policy: Mapping[str, Any]
    data: Mapping[str, Any]
    forced: bool
    passed_over: tuple[str, ...]
    not_shown: tuple[str, ...]
    error: str | None = None
    result: FlashResult | None = None

    def content(self) -> dict[str, Any]:
        """The line's JSON object: the result's fields next to the event's, without what is not there."""
        content = {"format": FLASH_FORMAT, **asdict(self)}
        result, error = content.pop("result") or {}, content.pop("error")
        result = {key: value for key, value in result.items() if value is not None}
        return {**content, **({} if error is None else {"error": error}), **result}


def append_flash(path: Path, event: FlashEvent) -> None:
    """Add a line to the log, and end one that was cut off before it.

    Raises:
        BadInputError: it cannot be written.
    """
    line = json.dumps(readable(event.content()), ensure_ascii=False).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        start = b"\n" if _is_cut_off(path) else b""
        with path.open("ab") as stream:
            stream.write(start + line)
    except OSError as error:
        raise BadInputError(f"cannot write the log {path}: {error.strerror}; choose another with --log") from error


def _is_cut_off(path: Path) -> bool:
    """Whether a file does not end with the end of a line; what is not a file, such as a pipe, has no lines."""
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"


def read_flash_log(path: Path) -> list[FlashEvent]:
    """The events of a log, in their order.

    A line that was cut off, as by a full disk, is left out wherever it stands; a `UserWarning` says which.

    Raises:
        BadInputError: it is missing, or a line is not such an event or another version's.
    """
    lines = read_bytes(path, "the log", "`lenet-edge flash` writes it.", limit=RECORD_BYTES).split(b"\n")
    events = []
    for number, line in enumerate(lines[:-1] if lines[-1] == b"" else lines, 1):
        if _is_torn(line):
            warnings.warn(f"{path}, line {number} was cut off and is left out", stacklevel=2)
            continue
        try:
            events.append(_event(line))
        except WrongRecordError as error:
            raise BadInputError(
                f"{path}, line {number}: {error}. Move the log away; `lenet-edge flash` starts another"
            ) from None
    return events


def _event(line: bytes) -> FlashEvent:
    """The event of a line; lines of earlier versions may have texts that are not `readable`."""
    try:
        return parse_flash(readable(load_object(line)))
    except RecursionError:
        raise WrongRecordError("its values are nested too deeply") from None


def _is_torn(line: bytes) -> bool:
    """Whether it begins an object and is no JSON: cut off; perhaps another follows in it, as earlier versions wrote."""
    try:
        json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return line.startswith(b"{")
    except (ValueError, RecursionError):  # it is JSON, of numbers or depths that `load_object` refuses
        return False
    return False


def parse_flash(content: Mapping[str, Any]) -> FlashEvent:
    """An event, from its JSON object; errors as of `parse_check`."""
    fields = Fields(content)
    require_format(fields, FLASH_FORMAT, numbered=False)

    def has(key: str) -> bool:  # only lines of earlier versions may lack it
        return fields.has("format") or fields.has(key)

    event = fields.text("event")
    if event not in _EVENTS:
        raise fields.wrong("event", f"one of {', '.join(_EVENTS)}")
    found = FlashEvent(
        time=fields.text("time"),
        event=event,  # type: ignore[arg-type]
        board=fields.text("board", BOARD),
        fingerprint=fields.text("fingerprint", SHA256),
        image_sha256=fields.text("image_sha256", SHA256),
        tool=fields.text("tool"),
        policy=fields.table("policy").content if has("policy") else {},
        data=fields.table("data").content if has("data") else {},
        forced=fields.flag("forced"),
        passed_over=fields.texts("passed_over"),
        not_shown=fields.texts("not_shown") if has("not_shown") else (),
        error=fields.text("error") if event in ("refused", "failed") else None,
        result=_result(fields) if event == "done" and has("stages") else None,
    )
    fields.require_known()
    return found


def _result(fields: Fields) -> FlashResult:
    return FlashResult(
        stages=tuple(map(_stage, fields.objects("stages"))),
        banner=fields.text("banner"),
        images=fields.count("images"),
        logits_differ=fields.count("logits_differ"),
        stack_used_bytes=fields.count("stack_used_bytes", most=_LARGEST_SIZE),
        stack_proved_bytes=fields.given("stack_proved_bytes", fields.count, _LARGEST_SIZE),
        stack_problem=fields.given("stack_problem", fields.text),
    )


def _stage(fields: Fields) -> FlashStage:
    stage = FlashStage(fields.text("name"), fields.text("found"), fields.number("seconds", 0, _LONGEST_S))
    fields.require_known()
    return stage
