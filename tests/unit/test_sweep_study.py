"""The study of a sweep: whatever happens to its workers, and whenever, each configuration completes exactly once."""

import shutil
import warnings
from collections import Counter
from contextlib import contextmanager

import pytest
import sqlalchemy
from optuna.trial import TrialState

from lenet_edge.errors import BadInputError
from lenet_edge.preparation.request import PreparationRequest
from lenet_edge.sweep import storage
from lenet_edge.sweep.plan import Plan
from lenet_edge.sweep.space import make_space
from lenet_edge.sweep.storage import open_storage
from lenet_edge.sweep.study import NUMBER, open_study

CONFIGURATIONS = 3


class Killed(Exception):  # noqa: N818
    """As if the process had ended here."""


def plan_of(tmp_path, **axes):
    space = make_space({}, axes or {"seed": list(range(CONFIGURATIONS))}, tmp_path)
    return Plan(space, "mnist", "0" * 64, PreparationRequest())


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    usual = storage._engine_settings

    def fast(url):
        return {
            **usual(url),
            "pool_events": [(lambda opened, _: opened.execute("PRAGMA synchronous = OFF"), "connect")],
        }

    monkeypatch.setattr(storage, "_engine_settings", fast)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A storage without studies, to copy: its tables take a while to make."""
    path = tmp_path_factory.mktemp("empty") / "studies.db"
    open_storage(f"sqlite:///{path}")
    return path


@pytest.fixture
def url(tmp_path, empty):
    shutil.copy(empty, tmp_path)
    return f"sqlite:///{tmp_path}/studies.db"


@pytest.fixture
def join(url, tmp_path):
    """``join()``: another worker of the study."""

    def worker():
        study = open_study(open_storage(url), "s", plan_of(tmp_path), None)
        study.storage.optuna.heartbeat_interval = 1
        return study

    return worker


def age_heartbeats(study, seconds=100_000):
    """As if all workers had been silent for so long."""
    with study.storage.optuna.engine.begin() as connection:
        old = f"datetime(heartbeat, '-{seconds} seconds')"
        connection.execute(sqlalchemy.text(f"UPDATE trial_heartbeats SET heartbeat = {old}"))  # noqa: S608


@contextmanager
def death_at(study, write):
    """Let the study's worker end before that commit of those that write; gives a list of the commits so far."""
    engine, writes = study.storage.optuna.engine, []

    def execute(connection, _cursor, statement, *_):
        connection.info["writes"] = connection.info.get("writes") or not statement.startswith(("SELECT", "PRAGMA"))

    def commit(connection):
        if connection.info.pop("writes", False):
            writes.append(connection)
            if len(writes) > write:
                raise Killed

    sqlalchemy.event.listen(engine, "before_cursor_execute", execute)
    sqlalchemy.event.listen(engine, "commit", commit)
    yield writes
    sqlalchemy.event.remove(engine, "before_cursor_execute", execute)
    sqlalchemy.event.remove(engine, "commit", commit)


def finish(study, attempts=99):
    """Complete all that can be taken."""
    while (claim := study.take(attempts)) is not None:
        assert study.complete(claim, (0.5, 100), {"n": claim.configuration.number})


def take(study, number, **options):
    """Take that configuration; those before it are completed."""
    while (claim := study.take(99, **options)).configuration.number != number:
        assert study.complete(claim, (0.5, 100), {"n": claim.configuration.number})
    return claim


def completed(study):
    """How often each configuration is complete."""
    trials = study._study.get_trials(states=(TrialState.COMPLETE,))
    return Counter(trial.user_attrs[NUMBER] for trial in trials)


ONCE = Counter(range(CONFIGURATIONS))


def test_two_workers_share_the_configurations(join):
    one, other = join(), join()
    claims = [one.take(3), other.take(3), one.take(3)]
    assert [claim.configuration.number for claim in claims] == [0, 1, 2]
    assert other.take(3) is None
    assert [each.state for each in one.standings()] == ["running"] * 3
    for study, claim in zip((one, other, one), claims, strict=True):
        assert study.complete(claim, (0.5, 100), {})
    assert completed(one) == completed(other) == ONCE
    assert join().take(3) is None


def test_workers_that_die_before_every_write(url, tmp_path):
    """While they queue, take, and note a result. Nothing is lost or done twice."""
    seeds = list(range(24))
    study = open_study(open_storage(url), "s", plan_of(tmp_path, seed=seeds), 1)
    for death in range(6):  # 15 are queued then
        with death_at(study, death) as writes:
            assert dies(study)
    for death in range(100):
        with death_at(study, death) as writes:
            if not dies(study):
                break
        if death % 3 == 2:
            age_heartbeats(study)
    assert death > 6  # a trial runs, beats, has an owner and two parameters, its result, is complete
    assert len(writes) <= death
    age_heartbeats(study)
    finish(study)
    assert completed(study) == Counter(seeds)
    assert [each.attempt.result["n"] for each in study.standings()] == seeds


def dies(study):
    """Whether the worker dies of taking one configuration and completing it."""
    try:
        claim = study.take(99)
        assert study.complete(claim, (0.5, 100), {"n": claim.configuration.number})
    except Killed:
        return True
    return False


def test_a_slow_worker_is_not_believed(join):
    slow, other = join(), join()
    claim = slow.take(3)
    age_heartbeats(other)
    taken = take(other, claim.configuration.number)
    assert taken.trial.number != claim.trial.number
    assert not slow.complete(claim, (0.9, 1), {"by": "slow"})
    slow.give_back(claim)
    slow.fail(claim, "x")
    assert other.complete(taken, (0.5, 100), {"by": "other"})
    assert not slow.complete(claim, (0.9, 1), {"by": "slow"})
    assert other.standings()[0].attempt.result == {"by": "other"}


def test_a_result_that_was_noted_and_not_answered(join):
    """The connection broke after the server had noted it: once more is no mistake."""
    study = join()
    claim = study.take(3)
    assert study.complete(claim, (0.5, 100), {"n": 0})
    assert study.complete(claim, (0.5, 100), {"n": 0})
    assert sum(completed(study).values()) == 1


def test_a_large_space_is_queued_little_by_little(url, tmp_path):
    """The others wait for the lock meanwhile; what was lost comes after what nobody has tried."""
    study = open_study(open_storage(url), "s", plan_of(tmp_path, seed=list(range(25))), 1)
    lost = study.take(99)
    assert 1 < len(study._study.get_trials()) <= 10
    age_heartbeats(study)
    numbers = []
    while (claim := study.take(99)) is not None:
        numbers.append(claim.configuration.number)
        assert study.complete(claim, (0.5, 100), {})
    assert sorted(numbers) == list(range(25))
    assert numbers[-1] == lost.configuration.number
    assert completed(study) == Counter(range(25))


def test_a_configuration_that_kills_its_workers_is_given_up(join):
    study = join()
    for lost in range(3):
        take(study, 0)
        assert study.standings()[0].lost == lost
        age_heartbeats(study)
    finish(study, attempts=3)
    first = study.standings()[0]
    assert (first.state, first.lost, first.attempt.problem) == ("lost", 3, "its worker died")
    assert study.take(3) is None
    assert study.take(4).configuration.number == 0


def test_what_is_given_back_is_taken_again_and_what_failed_is_not(join):
    study = join()
    study.give_back(study.take(1))
    claim = take(study, 0)
    study.fail(claim, "the training diverged")
    finish(study)
    first = study.standings()[0]
    assert (first.state, first.lost, first.attempt.problem) == ("failed", 0, "the training diverged")
    claim = take(study, 0, again=[0])
    assert study.complete(claim, (0.5, 100), {})
    assert completed(study) == ONCE


def test_trials_that_others_queued(join):
    """With Optuna or its dashboard: those that are no configuration, and one that is running."""
    study = join()
    claim = study.take(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study._study.enqueue_trial({"seed": 7})
        study._study.enqueue_trial({"seed": 0}, user_attrs={NUMBER: 0})
    finish(study)
    assert study.complete(claim, (0.5, 100), {})
    assert completed(study) == ONCE


def test_another_space_under_the_name(join, url, tmp_path):
    join()
    for axes, words in {
        "other seeds": ({"seed": [0, 1]}, "seed is 0, 1, 2 there and 0, 1 here"),
        "another key": ({"seed": [0, 1, 2], "epochs": [3]}, "epochs is not varied there and 3 here"),
        "another network": ({"seed": [0, 1, 2], "network": ["mlp"]}, "network is lenet5 there and mlp here"),
    }.values():
        with pytest.raises(BadInputError, match=words):
            open_study(open_storage(url), "s", plan_of(tmp_path, **axes), None)
    with pytest.raises(BadInputError, match="has a heartbeat of 30 s, not 7"):
        open_study(open_storage(url), "s", None, 7)
    with pytest.raises(BadInputError, match=r"no study 'r' in .* Known: s"):
        open_study(open_storage(url), "r", None, None)


def test_a_study_of_something_else(url, tmp_path):
    import optuna

    optuna.create_study(study_name="s", storage=url).add_trial(optuna.create_trial(value=1.0))
    for plan in (None, plan_of(tmp_path)):
        with pytest.raises(BadInputError, match="is not one of lenet-edge sweep; take another --study"):
            open_study(open_storage(url), "s", plan, None)


def test_a_joined_study_has_the_plan_of_its_maker(join, url):
    made = join()
    joined = open_study(open_storage(url), "s", None, None)
    assert joined.plan == made.plan
    assert joined.configurations == made.configurations
