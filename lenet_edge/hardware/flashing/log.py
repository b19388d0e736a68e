"""The log of `flash`: a line of JSON for each event, whoever asked and however it ended."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from lenet_edge.errors import BadInputError
from lenet_edge.hardware.flashing.flashers import Job
from lenet_edge.hardware.flashing.policies import Asked
from lenet_edge.hardware.flashing.stages import Flashed
from lenet_edge.hardware.flashing.verdict import Verdict

__all__ = ["FlashLog"]


@dataclass(frozen=True)
class FlashLog:
    """The log in a file, for one flash: "refused", or "begins" and then "done" or "failed".

    One that begins and does not end was cut off.
    """

    path: Path
    job: Job
    fingerprint: str
    asked: Asked
    verdict: Verdict

    def refused(self) -> None:
        """The gate refused it. Each method raises `BadInputError` where the log cannot be written."""
        self._append("refused", {"error": self.verdict.problem})

    def begins(self) -> None:
        """It is about to be written."""
        self._append("begins", {})

    def failed(self, error: BaseException) -> None:
        """It failed, or was interrupted."""
        self._append("failed", {"error": str(error) or type(error).__name__})

    def done(self, flashed: Flashed) -> None:
        """The board runs it, and every logit is right."""
        self._append("done", flashed.content())

    def _append(self, event: str, facts: Mapping[str, object]) -> None:
        line = {
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "event": event,
            "board": self.job.board.name,
            "fingerprint": self.fingerprint,
            "image_sha256": self.job.image.sha256,
            "tool": self.job.tool,
            "policy": self.asked.content(),
            "data": asdict(self.asked.data),
            "forced": self.verdict.forced,
            "passed_over": self.verdict.unmet,
            "not_shown": self.verdict.not_shown,
            **facts,
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Of file names: JSON has such escapes.
            with self.path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            raise BadInputError(
                f"cannot write the log {self.path}: {error.strerror}; choose another with --log"
            ) from error
