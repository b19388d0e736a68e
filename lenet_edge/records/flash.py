"""The log of `flash`: a line of JSON for each event. One that begins and does not end is a flash that was cut off."""

from __future__ import annotations

import json
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
    require_format,
)

__all__ = ["FLASH_FORMAT", "FlashEvent", "FlashResult", "FlashStage", "append_flash", "parse_flash", "read_flash_log"]

FLASH_FORMAT = 1
"""Of the lines of the log. Older ones have the same fields and no number."""

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
    """

    stages: tuple[FlashStage, ...]
    banner: str
    images: int
    logits_differ: int
    stack_used_bytes: int


@dataclass(frozen=True)
class FlashEvent:
    """One line of the log.

    Attributes:
        time: ISO 8601, UTC.
        event: "refused", or "begins" and then "done" or "failed".
        image_sha256: of all that is loaded.
        policy: what the record of `check` had to show, and where that is from.
        data: the test set that the policy asks for.
        forced: whether a condition was overridden; `passed_over` says which.
        not_shown: what nothing showed although the conditions are met.
        error: why it was refused, or failed.
        result: what it showed when it was done.
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
        result, error = content.pop("result"), content.pop("error")
        return {**content, **({} if error is None else {"error": error}), **(result or {})}


def append_flash(path: Path, event: FlashEvent) -> None:
    """Add a line to the log.

    Raises:
        BadInputError: it cannot be written.
    """
    line = json.dumps(event.content(), ensure_ascii=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Of file names: JSON has such escapes.
        with path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(line + "\n")
    except OSError as error:
        raise BadInputError(f"cannot write the log {path}: {error.strerror}; choose another with --log") from error


def read_flash_log(path: Path) -> list[FlashEvent]:
    """The events of a log, in their order; a last line that was cut off is left out.

    Raises:
        BadInputError: it is missing, or a line is not such an event or another version's.
    """
    *lines, _ = read_bytes(path, "the log", "`lenet-edge flash` writes it.", limit=RECORD_BYTES).split(b"\n")
    events = []
    for number, line in enumerate(lines, 1):
        try:
            events.append(parse_flash(load_object(line)))
        except WrongRecordError as error:
            raise BadInputError(
                f"{path}, line {number}: {error}. Move the log away; `lenet-edge flash` starts another"
            ) from None
    return events


def parse_flash(content: Mapping[str, Any]) -> FlashEvent:
    """An event, from its JSON object; errors as of `parse_check`."""
    fields = Fields(content)
    require_format(fields, FLASH_FORMAT, numbered=False)
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
        policy=fields.table("policy").content,
        data=fields.table("data").content,
        forced=fields.flag("forced"),
        passed_over=fields.texts("passed_over"),
        not_shown=fields.texts("not_shown"),
        error=fields.text("error") if event in ("refused", "failed") else None,
        result=_result(fields) if event == "done" else None,
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
    )


def _stage(fields: Fields) -> FlashStage:
    stage = FlashStage(fields.text("name"), fields.text("found"), fields.number("seconds", 0, _LONGEST_S))
    fields.require_known()
    return stage
