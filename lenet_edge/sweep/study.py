"""A study that many workers share, in which every configuration completes exactly once.

A trial is one attempt at a configuration, by one worker. Optuna has it, and so has optuna-dashboard: it waits, runs, is
complete or failed. A configuration whose attempt was lost gets a new trial.

Why exactly once. All changes of a trial's state are made under the study's lock (`Storage.locked`), one after another:

* `take` queues a trial for a configuration only if none of its trials waits, runs or is complete, and takes one only if
  no other runs or is complete. The second holds also where a worker was killed while the server still executed what it
  had sent, so that its lock was gone before its trial was there. So no two of them run.
* A trial is complete only through `complete`, which requires that it runs and that no other of its configuration is
  complete. One that was taken for lost has failed before its configuration was queued again, and a failed trial never
  runs again: a worker that was merely slow finds that out, and its result is dropped. So no two of them are complete.
* A worker that died is known by its heartbeat, too old by the server's clock. A running trial without `WORKER` was
  taken by one that died within `take`: it is set there, after the first beat. What was lost is failed first and queued
  again after that; who dies in between leaves a configuration without a trial, which the next `take` queues. So none is
  lost.
"""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from lenet_edge.sweep.order import next_ones
from lenet_edge.sweep.plan import Plan, joined
from lenet_edge.sweep.space import Configuration
from lenet_edge.sweep.storage import Storage

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

__all__ = ["Attempt", "Claim", "Standing", "State", "SweepStudy", "open_study"]

State: TypeAlias = Literal["waiting", "running", "complete", "failed", "lost"]

PLAN = "lenet_edge"  # attributes of a study
TESTED = "lenet_edge:test:"
NUMBER, WORKER, ENDED, RESULT = "configuration", "worker", "ended", "result"  # attributes of a trial
GIVEN_BACK = "given back"
_METRICS = ["validation accuracy", "flash bytes"]
_BEATS = 4  # without so many a worker is taken for dead


@dataclass(frozen=True)
class Attempt:
    """A trial of a configuration that is not open any more, or its last one.

    Attributes:
        trial: its number in the study.
        worker: host and process that took it; empty if nobody has.
        result: what it gave; None if it is not complete.
        problem: why it failed.
    """

    trial: int
    worker: str
    result: Mapping[str, Any] | None = None
    problem: str = ""


@dataclass(frozen=True)
class Standing:
    """Where a configuration stands.

    Attributes:
        state: lost is one whose workers died, as often as the study allows.
        attempt: the one that decides that; None if there is none yet.
        lost: how many attempts ended with their workers.
        tested: what its model said of the test set; None if nobody asked.
    """

    configuration: Configuration
    state: State
    attempt: Attempt | None
    lost: int
    tested: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Claim:
    """A trial that this worker has taken."""

    configuration: Configuration
    trial: Trial

    @property
    def folder(self) -> str:
        """The name of its folder in the study's."""
        return f"{self.trial.number:04d}"


def open_study(
    storage: Storage, name: str, plan: Plan | None, heartbeat_s: int | None, sampler: str | None = None
) -> SweepStudy:
    """Make a study, or join the one that there is.

    Args:
        plan: None joins one that exists.
        heartbeat_s: how often workers say that they live; None is the study's, or the usual.
        sampler: of `order.SAMPLERS`; None is the study's, or the plan's.

    Raises:
        BadInputError: there is none to join, it has another plan, or is not a sweep.
    """
    import optuna

    try:
        study = optuna.load_study(study_name=name, storage=storage.optuna) if plan is None else _made(storage, name)
        with storage.locked(study._study_id):
            found = study.user_attrs.get(PLAN)
            where, told = f"the study {name!r} in {storage.text}", (heartbeat_s, sampler)
            kept = joined(found, plan, told, where, used=bool(study.trials))
            if found is None:
                study.set_user_attr(PLAN, kept.to_json())
    except KeyError:
        from lenet_edge.sweep.plan import no_study

        names = [each.study_name for each in storage.optuna.get_all_studies()]
        raise no_study(name, storage.text, names) from None
    storage.optuna.heartbeat_interval = kept.heartbeat_s
    storage.optuna.grace_period = _BEATS * kept.heartbeat_s
    return SweepStudy(storage, study, kept)


def _made(storage: Storage, name: str) -> Study:
    import optuna

    directions = [optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE]
    study = optuna.create_study(study_name=name, storage=storage.optuna, directions=directions, load_if_exists=True)
    with warnings.catch_warnings(), suppress(ValueError):  # a study of another kind; `joined` says so
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(_METRICS)
    return study


class SweepStudy:
    """A study, as a worker sees it.

    Attributes:
        plan: what is swept.
        storage: where it is stored.
    """

    def __init__(self, storage: Storage, study: Study, plan: Plan) -> None:
        self.storage, self.plan, self._study = storage, plan, study
        self.configurations = plan.space.configurations()
        self.worker = f"{socket.gethostname()}:{os.getpid()}"

    def standings(self) -> list[Standing]:
        """Where every configuration stands, in their order."""
        return self._standings(self._study.get_trials(deepcopy=False))

    def take(self, attempts: int, again: Collection[int] = ()) -> Claim | None:
        """A configuration to work on; None if none is open now.

        Args:
            attempts: how many workers one may cost.
            again: the numbers of those that are open although they failed or were lost too often.
        """
        import optuna
        from optuna.trial import TrialState

        with self.storage.locked(self._study._study_id), warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", "Heartbeat of storage", UserWarning)  # ours beats in `work`
            optuna.storages.fail_stale_trials(self._study)
            self._fail_orphans()
            self._queue(attempts, again)
            busy = {each.configuration.number for each in self.standings() if each.state in ("running", "complete")}
            while self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
                trial = self._study.ask()
                number = trial.user_attrs.get(NUMBER, -1)
                if number in range(len(self.configurations)) and number not in busy:
                    return self._claimed(trial, self.configurations[number])
                trial.set_user_attr(ENDED, GIVEN_BACK)  # somebody queued it by other means
                self._study.tell(trial, state=TrialState.FAIL)
        return None

    def beat(self, claim: Claim) -> None:
        """Say that this worker lives."""
        self.storage.optuna.record_heartbeat(claim.trial._trial_id)

    def complete(self, claim: Claim, values: Sequence[float], result: Mapping[str, Any]) -> bool:
        """Note the result of a trial; False if this worker was taken for dead meanwhile, and nothing was noted."""
        with self.storage.locked(self._study._study_id):
            if not self._runs(claim):
                return self._is_noted(claim, result)
            if self.standings()[claim.configuration.number].state == "complete":
                return False
            claim.trial.set_user_attr(RESULT, dict(result))
            self._study.tell(claim.trial, list(values))
        return True

    def fail(self, claim: Claim, reason: str) -> None:
        """Note that a configuration failed by itself, so that it is not tried again."""
        self._end(claim, f"failed: {reason}")

    def give_back(self, claim: Claim) -> None:
        """Leave a configuration to whoever takes it."""
        self._end(claim, GIVEN_BACK)

    def note_test(self, trial: int, figures: Mapping[str, Any]) -> None:
        """Note what the model of a trial said of the test set."""
        self._study.set_user_attr(f"{TESTED}{trial}", dict(figures))

    # --- under the lock ---------------------------------------------------------------------------

    def _fail_orphans(self) -> None:
        """Fail the running trials whose workers died before their first beat."""
        from optuna.trial import TrialState

        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if WORKER not in trial.user_attrs:
                self._study.tell(trial.number, state=TrialState.FAIL)

    def _queue(self, attempts: int, again: Collection[int]) -> None:
        """A waiting trial for configurations that are open: a few, since the others wait for the lock meanwhile."""

        def is_open(each: Standing) -> bool:
            new = each.state == "waiting" and each.attempt is None
            asked_for = each.state in ("failed", "lost") and each.configuration.number in again
            return new or asked_for or (each.state == "lost" and each.lost < attempts)

        opened = list(filter(is_open, self.standings()))
        least = min((each.lost for each in opened), default=0)
        unhurt = [each.configuration for each in opened if each.lost == least]
        for each in next_ones(self.plan.sampler, unhurt, self._study, self.plan.space.axes):
            self._study.enqueue_trial(dict(each.values), user_attrs={NUMBER: each.number})

    def _claimed(self, trial: Trial, configuration: Configuration) -> Claim:
        self.beat(claim := Claim(configuration, trial))
        for name, values in self.plan.space.axes.items():
            trial.suggest_categorical(name, list(values))
        trial.set_user_attr(WORKER, self.worker)
        return claim

    def _end(self, claim: Claim, how: str) -> None:
        from optuna.trial import TrialState

        with self.storage.locked(self._study._study_id):
            if self._runs(claim):
                claim.trial.set_user_attr(ENDED, how)
                self._study.tell(claim.trial, state=TrialState.FAIL)

    def _runs(self, claim: Claim) -> bool:
        from optuna.trial import TrialState

        return bool(self.storage.optuna.get_trial(claim.trial._trial_id).state == TrialState.RUNNING)

    def _is_noted(self, claim: Claim, result: Mapping[str, Any]) -> bool:
        """Whether the result was noted all the same, by a try whose answer did not come."""
        from optuna.trial import TrialState

        trial = self.storage.optuna.get_trial(claim.trial._trial_id)
        return bool(trial.state == TrialState.COMPLETE and trial.user_attrs.get(RESULT) == result)

    # --- where things stand -----------------------------------------------------------------------

    def _standings(self, trials: Iterable[FrozenTrial]) -> list[Standing]:
        of: dict[int, list[FrozenTrial]] = {each.number: [] for each in self.configurations}
        for trial in trials:
            of.get(trial.user_attrs.get(NUMBER, -1), []).append(trial)
        tested = self._study.user_attrs
        return [_standing(each, of[each.number], tested) for each in self.configurations]


def _standing(configuration: Configuration, trials: Sequence[FrozenTrial], attributes: Mapping[str, Any]) -> Standing:
    from optuna.trial import TrialState

    by_state = {state: [trial for trial in trials if trial.state == state] for state in TrialState}
    failed = by_state[TrialState.FAIL]
    lost = sum(ENDED not in trial.user_attrs for trial in failed)
    deciding: tuple[tuple[TrialState, State], ...] = (
        (TrialState.COMPLETE, "complete"),
        (TrialState.RUNNING, "running"),
        (TrialState.WAITING, "waiting"),
    )
    for of_trial, state in deciding:
        if by_state[of_trial]:
            trial = by_state[of_trial][0]
            attempt = Attempt(trial.number, trial.user_attrs.get(WORKER, ""), trial.user_attrs.get(RESULT))
            return Standing(configuration, state, attempt, lost, attributes.get(f"{TESTED}{trial.number}"))
    if not failed or (ended := failed[-1].user_attrs.get(ENDED)) == GIVEN_BACK:
        return Standing(configuration, "waiting", None, lost)
    problem = "its worker died" if ended is None else str(ended).removeprefix("failed: ")
    attempt = Attempt(failed[-1].number, failed[-1].user_attrs.get(WORKER, ""), None, problem)
    return Standing(configuration, "lost" if ended is None else "failed", attempt, lost)
