"""A board that is asked for as long as the server runs: opened again by itself whenever it is lost."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from struct import unpack
from typing import Literal

from lenet_edge.errors import LenetEdgeError
from lenet_edge.hardware.session import Session

__all__ = ["Answer", "LastingSession", "NotReadyError", "Status", "WantedBoard"]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 8.0  # between attempts: a board that restarts, and one that is away for long
_LOOK_S = 2.0  # how often an idle board is asked whether it is there
_END_S = 2.0


@dataclass(frozen=True)
class WantedBoard:
    """What to open, and what it must be.

    Attributes:
        name: the board's, or the port's while nobody knows what is there.
        fingerprint: of the model that it should run.
        input_bytes: of that model.
        unit: what an inference is counted in; "" while nobody knows.
        open: opens a session with it, which counts if it is an emulator's; raises `LenetEdgeError` where the board is
            not there or is another one.
    """

    name: str
    kind: Literal["emulator", "port"]
    fingerprint: str
    input_bytes: int
    unit: str
    open: Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True)
class Status:
    """How the board is.

    Attributes:
        name, unit: as of `WantedBoard`; of a port, what the board there says once it has been asked.
        state: "starting" until it answers for the first time; "lost" from a failure until it answers again.
        message: why it is lost, and what to do; else "".
    """

    name: str
    unit: str
    state: Literal["starting", "ready", "lost"]
    message: str


@dataclass(frozen=True)
class Answer:
    """What a board says of an image: its int8 logits, and what the inference took, where that is counted."""

    logits: tuple[int, ...]
    count: int | None
    unit: str


class NotReadyError(Exception):
    """The board is not there; `status` says why."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


class LastingSession:
    """Opens the board in a thread of its own, the only one that talks to it, from `start` to `close`.

    Attributes:
        wanted: what it opens.
        ended: of the thread; has the exception where a bug ended it.
    """

    def __init__(self, wanted: WantedBoard, changed: Callable[[Status], object]) -> None:
        """Not started yet.

        Args:
            changed: called in that thread with each new status.
        """
        self.wanted = wanted
        self.ended: Future[None] = Future()
        self._changed = changed
        self._status = Status(wanted.name, wanted.unit, "starting", "")
        self._jobs: queue.SimpleQueue[tuple[bytes, Future[Answer]] | None] = queue.SimpleQueue()
        self._asked: Future[Answer] | None = None  # what the board is busy with
        self._lock = threading.Lock()  # no job comes between a loss and the end of the jobs that were waiting
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"asks {wanted.name}", daemon=True)

    def start(self) -> None:
        """Look for the board from now on."""
        self._thread.start()

    @property
    def status(self) -> Status:
        """How the board is now."""
        return self._status

    def infer(self, image: bytes) -> Future[Answer]:
        """Ask for the logits of an int8 image, after those that are being asked for.

        Raises:
            NotReadyError: the board is not ready; the future raises it where the board is lost meanwhile.
        """
        answer: Future[Answer] = Future()
        with self._lock:
            if self._status.state != "ready":
                raise NotReadyError(self._status)
            self._jobs.put((image, answer))
        return answer

    def close(self) -> None:
        """End the session. A board that is just starting may end a little later, but is asked nothing any more."""
        self._closing.set()
        self._become(Status(self._status.name, self._status.unit, "lost", "the server is ending"), at_the_end=True)
        self._jobs.put(None)
        self._thread.join(_END_S)

    # --- in the thread

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        try:
            while not self._closing.is_set():
                try:
                    with self.wanted.open() as session:
                        pause_s = _FIRST_PAUSE_S
                        self._become(self._ready(session))
                        self._answer_all(session)
                except LenetEdgeError as error:
                    self._lose(str(error))
                    self._closing.wait(pause_s)
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        except BaseException as error:
            self._lose("the server has failed")
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)

    def _ready(self, session: Session) -> Status:
        return Status(session.hello.board, self.wanted.unit or session.hello.counter_unit, "ready", "")

    def _answer_all(self, session: Session) -> None:
        """Answer until the end.

        Raises:
            LenetEdgeError: the board is lost.
        """
        while not self._closing.is_set():
            try:
                job = self._jobs.get(timeout=_LOOK_S)
            except queue.Empty:
                session.device.hello()
                continue
            if job is not None and job[1].set_running_or_notify_cancel():
                image, self._asked = job
                answer = _ask(session, image, self._status.unit)
                with self._lock:
                    if self._asked is not None:  # nobody has closed us meanwhile
                        self._asked.set_result(answer)
                        self._asked = None

    def _lose(self, why: str) -> None:
        if not self._closing.is_set():
            status = self._status
            self._become(Status(status.name, status.unit, "lost", why))

    def _become(self, status: Status, *, at_the_end: bool = False) -> None:
        """The new status; where it is not ready, what was asked for is not answered any more."""
        with self._lock:
            if self._closing.is_set() and not at_the_end:
                return
            changed, self._status = status != self._status, status
            if status.state != "ready":
                self._refuse(status)
        if changed and not at_the_end:
            self._changed(status)

    def _refuse(self, status: Status) -> None:
        """End all that is being asked for."""
        if self._asked is not None:
            self._asked.set_exception(NotReadyError(status))
            self._asked = None
        while not self._jobs.empty():
            job = self._jobs.get()
            if job is not None and job[1].set_running_or_notify_cancel():
                job[1].set_exception(NotReadyError(status))


def _ask(session: Session, image: bytes, unit: str) -> Answer:
    """Ask the board, which must still be what it was: somebody may have flashed it."""
    session.device.hello()
    logits, counter = session.device.infer(image)
    calls = session.counts(last=1)  # of an emulator, whose own counter says nothing
    count = sum(calls[0].cycles or calls[0].instructions) if calls else counter
    counted = bool(calls) or session.hello.counter_unit != "none"
    return Answer(unpack(f"{len(logits)}b", logits), count if counted else None, unit)
