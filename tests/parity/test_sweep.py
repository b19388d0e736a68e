"""`sweep`: workers on one PostgreSQL, killed and interrupted, and on SQLite."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import idx_files
import numpy as np
import postgres_server
import pytest
from command_line import without
from conftest import environment

from lenet_edge import records

SPACE = ["--network", "lenet5-tiny", "--vary", "epochs=1", "--vary", "quantize_epochs=1", "--vary", "least_steps=5"]


class Worker:
    """A worker in its own process and folder."""

    def __init__(self, folder, *arguments, **variables):
        folder.mkdir(exist_ok=True)
        self.log = folder / "stderr"
        argv = [sys.executable, "-m", "lenet_edge", "sweep", *map(str, arguments)]
        with self.log.open("wb") as log:
            env = environment(folder, **variables)
            self.process = subprocess.Popen(argv, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=log)

    def until(self, words):
        """Wait for a line of its progress."""
        for _ in range(12_000):
            if words in self.log.read_text():
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.01)
        raise AssertionError(self.log.read_text())

    def end(self):
        """Its exit code, and what it printed."""
        out, _ = self.process.communicate(timeout=300)
        return self.process.returncode, out.decode()


@pytest.fixture(scope="module")
def database():
    if postgres_server.folder_of_programs() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres_server.running() as url:
        yield url


def trials_in(url):
    """Number, state and configuration of every trial, as the database has them."""
    import sqlalchemy

    rows = (
        "SELECT trials.number, trials.state, value_json FROM trials LEFT JOIN trial_user_attributes AS a "
        "ON a.trial_id = trials.trial_id AND a.key = 'configuration' ORDER BY trials.number"
    )
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(sqlalchemy.text(rows))]
    engine.dispose()
    return found


def test_a_worker_that_is_killed_amid_a_trial(database, bands_data, tmp_path):
    """Two workers, one PostgreSQL, SIGKILL: each configuration completes once, and both print the same."""
    what = [*SPACE, "--seeds", "0-2", "--data", bands_data, "--heartbeat", 1, "--json"]
    killed = Worker(tmp_path / "one", *what, LENET_EDGE_STORAGE=database)
    killed.until("epoch 1 of 1")  # trained, not yet quantised
    killed.process.send_signal(signal.SIGKILL)
    other = Worker(tmp_path / "two", *what, "--storage", database)
    assert killed.end()[0] == -signal.SIGKILL
    code, printed = other.end()
    assert code == 0, other.log.read_text()
    again = Worker(tmp_path / "one", "--json", LENET_EDGE_STORAGE=database)
    assert again.end() == (0, printed)
    trials = trials_in(database)
    assert Counter(number for _, state, number in trials if state == "COMPLETE") == Counter("012")
    assert [(number, state) for number, state, _ in trials if state != "COMPLETE"] == [(0, "FAIL")]
    found = json.loads(printed)["configurations"]
    assert [(row["state"], row["values"]["seed"], row["lost"]) for row in found] == [
        ("complete", seed, int(seed == 0)) for seed in range(3)
    ]
    for folder in (tmp_path / "one", tmp_path / "two"):
        record = records.read_sweep(folder / "build/sweep/sweep/sweep.json")
        assert json.loads(json.dumps(record.content())) == json.loads(printed)
        texts = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
        for secret in (postgres_server.PASSWORD, postgres_server.PASSWORD_IN_URL):
            assert not any(secret.encode() in text for text in texts)
    assert "sweeper:***@" in printed


def test_a_lock_of_the_server_that_nobody_gives_back(database, monkeypatch):
    """A worker that was stopped within it: the others say so, and do not wait for ever."""
    from lenet_edge.errors import BadInputError
    from lenet_edge.sweep import storage

    monkeypatch.setattr(storage, "_LOCK_S", 1)
    one, other = storage.open_storage(database), storage.open_storage(database)
    study = one.optuna.create_new_study([1], "locked")
    said = "another worker has held a lock in .* for 1 s.*kill -CONT"
    with one.locked(study), pytest.raises(BadInputError, match=said), other.locked(study):
        pytest.fail("two have the lock")
    with other.locked(study):
        pass
    one.optuna.delete_study(study)
    for each in (one, other):
        each.optuna.engine.dispose()


def test_interrupted_and_resumed(run_cli, bands_data, tmp_path):
    """SQLite: Ctrl-C gives the trial back at once; the study goes on without its options; the test set once.

    When it is complete, another data set, or an --out among the pictures, is refused all the same.
    """
    first = Worker(tmp_path, *SPACE, "--seeds", "0-1", "--data", bands_data, "--study", "s.1")
    first.until("epoch 1 of 1")
    first.process.send_signal(signal.SIGINT)
    assert first.end() == (130, "")
    assert "trial 0 is given back" in first.log.read_text()
    done = run_cli("sweep", "--study", "s.1", "--test", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert "this worker completed 2 trials" in done.stderr
    assert "2 of 2 configurations are complete" in done.stdout
    folder = tmp_path / "build/sweep/s.1"
    record = records.read_sweep(folder / "sweep.json")
    assert [row.lost for row in record.configurations] == [0, 0]
    model = folder / record.configurations[0].file
    told = json.loads(model.with_name("trial.json").read_text())
    assert told["validation_accuracy"] == record.configurations[0].validation_accuracy
    checked = run_cli(
        "check",
        "--model",
        model,
        "--engine",
        "tflm",
        "--engine",
        "litert-xnnpack",
        "--data",
        bands_data,
        "--json",
        "--max-drop",
        100,
        cwd=tmp_path,
    )
    assert checked.code == 0, checked.stderr
    assert checked.json["int8_accuracy"] == record.configurations[0].test_accuracy
    assert checked.json["float_accuracy"] == record.configurations[0].float_test_accuracy
    assert (folder / "sweep.svg").read_text().count("<svg") == 1
    other = run_cli("sweep", *SPACE, "--seeds", "0-2", "--data", bands_data, "--study", "s.1", cwd=tmp_path)
    assert other.code == 3
    assert "seed is 0, 1 there and 0, 1, 2 here. Take another --study" in other.stderr
    refuse_other_places(run_cli, bands_data, tmp_path)


def refuse_other_places(run_cli, bands_data, tmp_path):
    """The study is complete; its worker has nothing to do."""
    images = np.random.default_rng(3).integers(0, 256, (100, 28, 28), np.uint8)
    labels = np.arange(100, dtype=np.uint8) % 10
    changed = idx_files.write_folder(tmp_path / "changed", [images, labels, images[:20], labels[:20]])
    for options, message in (
        (("--data", changed), f"the images of {changed} are not those of the study, which was made with {bands_data}"),
        (("--out", bands_data), f"--out {bands_data} is in the folder of the data set"),
    ):
        refused = run_cli("sweep", "--study", "s.1", *options, cwd=tmp_path)
        assert (refused.code, refused.stdout) == (3, "")
        assert message in refused.stderr


def test_without_optuna(run_cli, tmp_path):
    done = run_cli("sweep", "--seeds", "0-1", cwd=tmp_path, code=without("optuna", then="sys.argv = ['x', 'sweep']"))
    assert (done.code, done.stdout) == (4, "")
    assert "pip install 'lenet-edge[sweep]'" in done.stderr
    assert not os.listdir(tmp_path / "tmp")
