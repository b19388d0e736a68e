"""SIGTERM and SIGHUP ended a command without cleaning up, and workers ran on after its SIGKILL."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lenet_edge import children, files

PATIENCE_S = 30  # on a busy machine
MARK = "LENET_EDGE_TEST"  # a variable that all that it starts inherits, and is found by


def those_of(folder: Path) -> dict[int, str]:
    """The processes that were started with that folder for temporary files, or by one that was."""
    found, mark = {}, f"{MARK}={folder}".encode()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (path / "environ").read_bytes().split(b"\0") and not is_gone(int(path.name)):
                found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_for(condition, what=""):
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.01)


@pytest.fixture
def begin(tmp_path, model):
    """``begin(*arguments)``: the command line, running; all that it started is ended after the test."""
    temporary = tmp_path / "tmp"
    temporary.mkdir(exist_ok=True)

    def run(*arguments):
        with (tmp_path / "said").open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "lenet_edge", *map(str, arguments)],
                cwd=tmp_path,
                env={**os.environ, "OMP_NUM_THREADS": "1", **dict.fromkeys(("TMPDIR", MARK), str(temporary))},
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )

    yield run
    for pid in those_of(temporary):
        os.kill(pid, signal.SIGKILL)


def checking(model):
    return ["check", "--model", model, "--data", "noise", "--engine", "tflm", "--engine", "litert-reference"]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
@pytest.mark.parametrize("moment", ["at any time", "workers"])
def test_it_cleans_up(begin, model, tmp_path, number, code, moment):
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "check.json").write_text("old")
    command = begin(*checking(model))
    if moment == "workers":
        wait_for(lambda: "tflite_worker" in "".join(those_of(tmp_path / "tmp").values()))
    else:
        wait_for(lambda: (tmp_path / "said").read_text())  # before that, the interpreter starts
        time.sleep(random.Random(int(number)).uniform(0, 1))
    command.send_signal(number)
    assert command.wait(PATIENCE_S) == code, (tmp_path / "said").read_text()
    wait_for(lambda: not those_of(tmp_path / "tmp"), "a process is left")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["check.json"]
    assert (tmp_path / "build" / "check.json").read_text() == "old"
    said = (tmp_path / "said").read_text()
    assert said.splitlines()[-1].endswith("; what existed before is unchanged")
    assert "Traceback" not in said
    assert "failed" not in said


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(3))
def test_its_workers_end_when_it_is_killed(begin, model, tmp_path, seed):
    command = begin(*checking(model))
    wait_for(lambda: len(those_of(tmp_path / "tmp")) > 1)
    time.sleep(random.Random(seed).uniform(0, 0.3))
    command.kill()
    command.wait(PATIENCE_S)
    until = time.monotonic() + PATIENCE_S / 3  # a worker on 10,000 images takes longer
    while left := those_of(tmp_path / "tmp"):
        assert time.monotonic() < until, left
        time.sleep(0.01)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("statement", ["pass", "signal.alarm(0)"], ids=["swallowed", "swallowed, without a timer"])
def test_an_exception_that_somebody_swallows(statement, tmp_path):
    """The second signal ends it at once; a first one does after a while, however busy it is."""
    code = (
        "import os, signal, sys, time, lenet_edge.cli as cli, lenet_edge.cli.endings as endings\n"
        "from lenet_edge.files import temporary_folder\n"
        "endings._PATIENCE_S = 0.5\n"
        "def stubborn(*a, **o):\n"
        "    with temporary_folder():\n"
        "        while True:\n"
        "            try: print('ready', flush=True); time.sleep(9)\n"
        f"            except KeyboardInterrupt: print('swallowed', flush=True); {statement}\n"
        "cli.cli.main = stubborn; cli.main([])"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.stdout.readline() == "swallowed\n"
        if statement != "pass":
            process.terminate()
        assert process.wait(PATIENCE_S) == 143
        assert "ended by SIGTERM" in process.stderr.read()
    assert list(tmp_path.iterdir()) == []


def test_where_they_are_ignored_they_stay_so(tmp_path):
    code = (
        "import os, signal, lenet_edge.cli as cli\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "cli.cli.main = lambda *a, **o: os.kill(os.getpid(), signal.SIGHUP)\n"
        "cli.main([])"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


# --- children -------------------------------------------------------------------------------------

PARENT = """
import subprocess, sys, threading, time
from lenet_edge import children
def begin():
    global process
    process = children.start(["sh", "-c", {script!r}], lasting={lasting}, stdout=subprocess.PIPE)
    print(process.stdout.readline().decode(), end="", flush=True)
    time.sleep(60)
{how}
"""
IN_A_THREAD = "thread = threading.Thread(target=begin); thread.start(); thread.join()"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("lasting", [True, False])
@pytest.mark.parametrize("how", ["begin()", IN_A_THREAD], ids=["main thread", "another thread"])
def test_a_child_and_what_it_started(lasting, how):
    """sh starts its own sleep; what is not `lasting` is ended with all that it started."""
    script = "echo $$; exec sleep 60" if lasting else "sleep 60 & echo $$ $!; wait"
    code = PARENT.format(script=script, lasting=lasting, how=how)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        numbers = [int(word) for word in parent.stdout.readline().split()]
        assert len(numbers) == (1 if lasting else 2)
        assert not any(map(is_gone, numbers))
        parent.kill()
    wait_for(lambda: all(map(is_gone, numbers)), "it runs on")


def test_a_child_that_is_started_when_its_parent_is_gone():
    """Between fork and prctl: the parent's number is compared."""
    argv = [sys.executable, "-I", "-S", children._GUARD, "exec", str(os.getppid()), "/bin/echo", "started"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")


def test_run_says_how_it_ended(tmp_path):
    for lasting in (True, False):
        done = children.run(
            ["sh", "-c", "cat; pwd; echo err >&2; exit 7"], timeout_s=60, folder=tmp_path, lasting=lasting
        )
        assert done == children.Done(7, f"{tmp_path}\n", "err\n")
        assert children.run(["sh", "-c", "kill -11 $$"], timeout_s=60, lasting=lasting).code == -11
        with pytest.raises(FileNotFoundError):
            children.run(["no-such-program"], timeout_s=60, lasting=lasting)
        with pytest.raises(PermissionError):
            children.run(["/etc/passwd"], timeout_s=60, lasting=lasting)
    assert children._running == set()


def test_a_program_that_does_not_end_is_ended_with_what_it_started(tmp_path):
    argv = ["sh", "-c", "sleep 60 & echo $! > number; wait"]
    for lasting in (True, False):
        with pytest.raises(subprocess.TimeoutExpired):
            children.run(argv, timeout_s=1, folder=tmp_path, lasting=lasting)
        number = int((tmp_path / "number").read_text())
        wait_for(lambda number=number: is_gone(number))


def test_sigpipe_is_not_ignored_in_a_child():
    """Python ignores it, and programs that it starts would, too: `yes | head` then complains."""
    argv = ["sh", "-c", "yes | head -1; grep SigIgn /proc/self/status"]
    for lasting in (True, False):
        said = children.run(argv, timeout_s=60, lasting=lasting).stdout.split()
        assert int(said[-1], 16) & (1 << signal.SIGPIPE - 1) == 0


def test_a_part_of_a_file_is_known_before_it_exists(tmp_path, monkeypatch):
    """Ctrl-C in the instant in which it is made: `remove_temporaries` has its name."""
    opened = os.open

    def interrupt(*arguments):
        opened(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "open", interrupt)
        patched.setattr(files, "_forget", lambda part: None)
        with pytest.raises(KeyboardInterrupt):
            files.write_file(tmp_path / "a", b"new")
    assert len(list(tmp_path.iterdir())) == 1
    files.remove_temporaries()
    assert list(tmp_path.iterdir()) == []


def test_what_a_child_leaves_in_its_folder_for_temporary_files_is_removed(tmp_path, monkeypatch):
    """A compiler or worker that is killed leaves it behind."""
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    for script in ('touch "$TMPDIR/left"', 'touch "$TMPDIR/left"; kill -9 $$'):
        for lasting in (True, False):
            children.run(["sh", "-c", script], timeout_s=60, lasting=lasting)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(120)
def test_a_hook_of_unicorn_is_not_interrupted(tmp_path):
    """C calls it, so that the exception was printed and lost."""
    pytest.importorskip("unicorn")
    code = (
        "import os, signal, time, lenet_edge.cli as cli\n"
        "from unicorn import Uc, UC_ARCH_ARM, UC_MODE_THUMB, UC_HOOK_CODE\n"
        "def hook(*_):\n"
        "    if not sent: sent.append(os.kill(os.getpid(), signal.SIGTERM))\n"
        "sent = []\n"
        "def emulating(*a, **o):\n"
        "    machine = Uc(UC_ARCH_ARM, UC_MODE_THUMB)\n"
        "    machine.mem_map(0, 4096)\n"
        "    machine.mem_write(0, b'\\0\\xbf' * 1000)\n"  # no operation
        "    machine.hook_add(UC_HOOK_CODE, hook)\n"
        "    machine.emu_start(1, 2000)\n"
        "    time.sleep(60)\n"
        "cli.cli.main = emulating; cli.main([])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (143, "ended by SIGTERM; what existed before is unchanged\n")
