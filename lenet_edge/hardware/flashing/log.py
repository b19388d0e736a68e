"""The log of `flash`: a line of JSON for each event, however it ended."""

from __future__ import annotations

import datetime
from dataclasses import asdict, dataclass
from pathlib import Path

from lenet_edge.hardware.flashing.flashers import Job
from lenet_edge.hardware.flashing.policies import Asked
from lenet_edge.hardware.flashing.verdict import Verdict
from lenet_edge.records import FlashResult, append_flash
from lenet_edge.records.flash import Event, FlashEvent

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
        self._append("refused", error=self.verdict.problem)

    def begins(self) -> None:
        """It is about to be written."""
        self._append("begins")

    def failed(self, error: BaseException) -> None:
        """It failed, or was interrupted."""
        self._append("failed", error=str(error) or type(error).__name__)

    def done(self, result: FlashResult) -> None:
        """The board runs it, and every logit is right."""
        self._append("done", result=result)

    def _append(self, event: Event, *, error: str | None = None, result: FlashResult | None = None) -> None:
        line = FlashEvent(
            time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            event=event,
            board=self.job.board.name,
            fingerprint=self.fingerprint,
            image_sha256=self.job.image.sha256,
            tool=self.job.tool,
            policy=self.asked.content(),
            data=asdict(self.asked.data),
            forced=self.verdict.forced,
            passed_over=tuple(self.verdict.unmet),
            not_shown=tuple(self.verdict.not_shown),
            error=error,
            result=result,
        )
        append_flash(self.path, line)
