"""A worker: it takes configurations from a study until none is left, and gives back what it cannot finish."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lenet_edge.errors import CheckFailedError, one_line
from lenet_edge.sweep.storage import patiently
from lenet_edge.sweep.study import Claim, SweepStudy

__all__ = ["Outcome", "WorkerSettings", "work"]

_POLL_S = 5.0  # between two looks at trials that run elsewhere


@dataclass(frozen=True)
class WorkerSettings:
    """How a worker works.

    Attributes:
        attempts: how many workers a configuration may cost before it is given up.
        most: how many trials it takes at most; None takes all.
        wait: whether it stays until the trials of others are over, to take what they lose.
        retry: whether it tries once more what has failed or was lost before it came.
    """

    attempts: int = 3
    most: int | None = None
    wait: bool = True
    retry: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a trial gives the study.

    Attributes:
        values: of its objectives: accuracy, 0..1, and bytes of flash.
        result: all of it, JSON values.
    """

    values: tuple[float, float]
    result: Mapping[str, Any]


def work(
    study: SweepStudy, do: Callable[[Claim], Outcome], settings: WorkerSettings, say: Callable[[str], None]
) -> int:
    """Take configurations and do them; returns how many this worker completed.

    Args:
        do: a trial, in this process. A `CheckFailedError` is the configuration's own failure; what else it raises, an
            interrupt among it, ends the worker, and somebody else takes the configuration.

    Raises:
        BadInputError: the storage is gone, or what `do` raises.
    """
    standings = patiently(study.storage, study.standings, say)
    again = {each.configuration.number for each in standings if settings.retry and each.state in ("failed", "lost")}
    taken, completed, waited = 0, 0, False
    while settings.most is None or taken < settings.most:
        claim = patiently(study.storage, lambda: study.take(settings.attempts, again), say)
        if claim is not None:
            taken, waited = taken + 1, False
            again.discard(claim.configuration.number)
            completed += _one(study, claim, do, say)
            continue
        running = [each for each in patiently(study.storage, study.standings, say) if each.state == "running"]
        if not running or not settings.wait:
            break
        if not waited:
            workers = ", ".join(sorted({each.attempt.worker for each in running if each.attempt}))
            say(f"nothing is left to take; waiting for {len(running)} that run elsewhere ({workers})")
            waited = True
        time.sleep(min(_POLL_S, study.plan.heartbeat_s))
    return completed


def _one(study: SweepStudy, claim: Claim, do: Callable[[Claim], Outcome], say: Callable[[str], None]) -> bool:
    """Do one trial and note how it ended; whether it is complete."""
    name = f"trial {claim.trial.number}"
    say(f"{name}: {claim.configuration.text}")
    try:
        with _heart(study, claim):
            outcome = do(claim)
    except CheckFailedError as error:
        reason = one_line(str(error))
        say(f"{name} failed: {reason}")
        patiently(study.storage, lambda: study.fail(claim, reason), say)
        return False
    except BaseException:
        with contextlib.suppress(Exception):  # without its heartbeat it is found all the same
            study.give_back(claim)
            say(f"{name} is given back")
        raise
    if not patiently(study.storage, lambda: study.complete(claim, outcome.values, outcome.result), say):
        say(f"{name} was taken for lost, for want of a heartbeat; its result is dropped, another worker has it")
        return False
    accuracy, flash = outcome.values
    say(f"{name}: int8 validation accuracy {100 * accuracy:.2f} %, {flash:,.0f} bytes")
    return True


@contextlib.contextmanager
def _heart(study: SweepStudy, claim: Claim) -> Iterator[None]:
    """Beat meanwhile, in a thread."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(study.plan.heartbeat_s):
            with contextlib.suppress(Exception):  # the storage is gone for a while: the next beat tries again
                study.beat(claim)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
