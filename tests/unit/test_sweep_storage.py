"""Where a study is kept: what can be wrong with it, and that no password is shown."""

import fcntl
import os
import signal
import socket
import sqlite3
import subprocess
import sys

import pytest
from click.testing import CliRunner

from lenet_edge.cli import cli, endings
from lenet_edge.errors import BadInputError, MissingToolError, without_passwords
from lenet_edge.sweep import storage
from lenet_edge.sweep.storage import open_storage

SECRET = "s3cret"  # noqa: S105


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql+psycopg://me:s3cret@host/db", "postgresql+psycopg://me:***@host/db"),
        ("at postgresql://me:s3:cr/et@host:5/db it", "at postgresql://me:***@host:5/db it"),
        ("postgresql://host/db?user=me&password=s3cret&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("postgresql://:s3cret@host/db", "postgresql://:***@host/db"),
        ("https://example.org/a:b and me@example.org", "https://example.org/a:b and me@example.org"),
        ("sqlite:///a/b.db", "sqlite:///a/b.db"),
    ],
)
def test_passwords_are_not_shown(text, shown):
    assert without_passwords(text) == shown


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"me:{SECRET}@host", "is not the URL of a database, such as sqlite:///"),
        (f"postgresql://me:{SECRET}@host:port/db", "is not the URL of a database"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        (f"nonsense://me:{SECRET}@host/db", "there is no such kind of database; for PostgreSQL: postgresql"),
        (f"postgresql+psycopg://me:{SECRET}@127.0.0.1:%d/db", "cannot be used: .*refused.* Does the server run"),
        ("sqlite:////dev/null/x.db", "cannot make the folder /dev/null"),
        ("sqlite:////proc/x.db", "cannot write /proc/x.db.lock"),
    ],
)
def test_what_is_no_storage(url, words):
    with pytest.raises(BadInputError, match=words) as caught:
        open_storage(url.replace("%d", str(closed_port())))
    assert SECRET not in str(caught.value)


def test_a_driver_that_is_not_installed():
    with pytest.raises(MissingToolError, match=r"pymysql of mysql\S*://me:\*\*\*@host/db is not .*install pymysql"):
        open_storage(f"mysql+pymysql://me:{SECRET}@host/db")


def test_a_file_of_something_else(tmp_path):
    (tmp_path / "a.db").write_bytes(b"not a database at all, but long enough to be one" * 100)
    with pytest.raises(BadInputError, match=r"not a database.* Does the file belong to Optuna"):
        open_storage(f"sqlite:///{tmp_path}/a.db")


def test_a_link_to_a_file_has_the_lock_of_the_file(tmp_path):
    """Else two workers, of which one comes by the link, would take the same trial."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.db").symlink_to(tmp_path / "a.db")
    one, other = (open_storage(f"sqlite:///{tmp_path}/{name}") for name in ("a.db", "elsewhere/b.db"))
    with one.locked(1), other._lock_file.open("rb") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


STOPS = """
import os, signal, sys
from pathlib import Path
from lenet_edge.sweep import storage
with storage._file_locked(Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_worker_that_is_stopped_within_the_lock_does_not_block_the_others_for_ever(tmp_path, monkeypatch):
    path = tmp_path / "a.db.lock"
    stopped = subprocess.Popen([sys.executable, "-c", STOPS, str(path)])
    try:
        os.waitpid(stopped.pid, os.WUNTRACED)
        monkeypatch.setattr(storage, "_LOCK_S", 0.2)
        with pytest.raises(BadInputError) as caught, storage._file_locked(path):
            pytest.fail("two have the lock")
        said = str(caught.value)
        assert f"another worker (process {stopped.pid}) has held {path} for 0.2 s" in said
        assert "kill -CONT" in said
        stopped.send_signal(signal.SIGCONT)
        assert stopped.wait(30) == 0
        with storage._file_locked(path):
            assert path.read_text().split() == [str(os.getpid())]
    finally:
        stopped.kill()
        stopped.wait()


def test_a_full_disk(tmp_path):
    """As SQLite meets it: its file may not grow."""
    url = f"sqlite:///{tmp_path}/a.db"
    with sqlite3.connect(tmp_path / "a.db") as made:
        made.execute("CREATE TABLE t (x)")
    error = sqlite3.OperationalError("database or disk is full")
    assert "The disk is full: free some space" in str(open_storage(url).explained(error))


def test_a_bug_of_ours_does_not_show_the_password(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(endings.tempfile, "tempdir", str(tmp_path))
    url = f"postgresql://me:{SECRET}@host/db"
    endings.report_our_fault(RuntimeError(f"at {url}"), ["sweep", "--storage", url])
    (report,) = tmp_path.iterdir()
    said = report.read_text() + capsys.readouterr().err
    assert "me:***@host" in said
    assert SECRET not in said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 3, "there is no study 'sweep' in sqlite:///build/sweep/studies.db"),
        (["--study", "../x"], 2, "is not a name of letters, digits"),
        (["--seeds", "4-0"], 2, "is not a list such as 0-4,7"),
        (["--seeds", "0-99999"], 2, "of at most 2,000 seeds"),
        (["--vary", "epochs"], 2, "is not a key and its values, such as learning_rate=4e-3,8e-3"),
        (["--seeds", "1", "--vary", "seed=2"], 2, "seed is given twice"),
        (["--trials", "0", "--no-wait"], 2, "--wait has no effect with --trials 0"),
        (["--vary", "epoch=2"], 3, "'epoch' is not known. Did you mean 'epochs'?"),
        (["--space", "none.toml"], 3, "the space's file none.toml does not exist"),
        (["--seeds", "1", "--data", "none"], 3, "There is no data set 'none'"),
    ],
)
def test_what_the_command_refuses(arguments, code, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["sweep", *arguments])
    raised = getattr(done.exception, "exit_code", done.exit_code)
    assert (raised, words in f"{done.output}{done.exception}") == (code, True), done.output + repr(done.exception)
    assert code != 2 or not os.listdir(tmp_path)
