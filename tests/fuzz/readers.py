"""The readers under damaged inputs: each gives a value or refuses with one message, in bounded time and memory.

    python tests/fuzz/readers.py                              # 100,000 inputs for each reader, on every processor
    python tests/fuzz/readers.py --reader tflite --count 5000
    python tests/fuzz/readers.py --reader tflite --seed 1234  # one input again, with its traceback
    python tests/fuzz/readers.py --reader tflite --seed 1234 --keep "two operators write one tensor"   # for every run

An input is made from the reader's name and a number, its seed, and from nothing else. Inputs are read in processes of
their own, so that a crash, a hang or a hunger for memory ends one of these and names its seed. What counts as a fault:
another exception than `LenetEdgeError`; a message that is empty, has several lines or is long; more than SECONDS of
time; more than MEGABYTES of memory, of which the interpreter with its libraries is a part.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import json
import mmap
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

import subjects  # noqa: E402

from lenet_edge.errors import LenetEdgeError  # noqa: E402

KEPT, RECORD = (Path(__file__).with_name(name) for name in ("kept.json", "record.json"))
SECONDS = 10.0  # of the processor
HUNG = 30.0  # by the clock on the wall: the machine may be busy
MEGABYTES = 1_000
MESSAGE_MAX = 2_000  # characters
_ADDRESS_SPACE = 8 << 30  # what keeps the machine alive
_STATE = struct.Struct("<QdQQQQQ")  # seed, since when, accepted, refused, slowest ns and its seed, peak KB


@dataclass
class Result:
    """What became of a reader's inputs."""

    accepted: int = 0
    refused: int = 0
    slowest_ms: float = 0.0
    slowest_seed: int = 0
    peak_mb: float = 0.0
    faults: dict[str, list[int]] = field(default_factory=dict)  # what happened -> seeds

    def add(self, fault: str, seed: int) -> None:
        self.faults.setdefault(fault, []).append(seed)


# --- one input --------------------------------------------------------------------------------------


def judge(subject: subjects.Subject, data: bytes, folder: Path) -> tuple[bool, str]:
    """(whether it was accepted, what is wrong with how it was treated)."""
    error = outcome(subject, data, folder)
    return error is None, fault_of(error)


def outcome(subject: subjects.Subject, data: bytes, folder: Path) -> Exception | None:
    """What the reader raises; None where it accepts the input."""
    try:
        subject.read(data, folder)
    except Exception as error:
        return error
    return None


def fault_of(error: Exception | None) -> str:
    """What is wrong with an outcome; empty where nothing is."""
    if error is None:
        return ""
    return _message_fault(str(error)) if isinstance(error, LenetEdgeError) else _where(error)


def _message_fault(message: str) -> str:
    if not message.strip():
        return "a message that is empty"
    if len(message) > MESSAGE_MAX:
        return f"a long message: {_blurred(message[:60])}"
    if not message.isprintable():
        return f"a message with characters that cannot be printed: {_blurred(message[:60])}"
    return ""


def _where(error: BaseException) -> str:
    """The exception and where in lenet_edge it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "lenet_edge" in frame.filename] or frames
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
    return f"{type(error).__name__} at {place}: {_blurred(str(error)[:80])}"


def _blurred(text: str) -> str:
    """Without what differs from input to input."""
    return ascii(re.sub(r"/\S+/", "", re.sub(r"[0-9a-fx]*\d[0-9a-fx]*|'[^']*'?", "N", text)))[1:-1]


# --- a process that reads ---------------------------------------------------------------------------


def _work(name: str, seeds: range, state: mmap.mmap, place: Path) -> None:
    """Read the inputs of `seeds`, in a folder in `place`, and say there what is wrong; ends the process."""
    subject, folder, parent = subjects.SUBJECTS[name], Path(tempfile.mkdtemp(dir=place)), os.getppid()
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.chdir(folder)
    warnings.simplefilter("ignore")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _, _, accepted, refused, slowest, slowest_seed, _ = _STATE.unpack_from(state)
    with (place / "said").open("a") as log:
        for seed in seeds:
            if os.getppid() != parent:  # the one that asks has been killed
                break
            _STATE.pack_into(state, 0, seed, time.time(), accepted, refused, slowest, slowest_seed, peak)
            data = subject.input(name, seed)
            began = time.process_time_ns()
            taken, fault = judge(subject, data, folder)
            spent = time.process_time_ns() - began
            accepted, refused = accepted + taken, refused + (not taken)
            if spent > slowest:
                slowest, slowest_seed = spent, seed
            now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            if now > max(peak, MEGABYTES << 10) and not fault:
                fault = f"{now >> 10} MB"
            peak = max(peak, now)
            if spent > SECONDS * 1e9 and not fault:
                fault = "slow"
            if fault:
                print(json.dumps([seed, fault]), file=log, flush=True)
            if now > MEGABYTES << 10:
                break  # the next process starts small again
    _STATE.pack_into(state, 0, seed + 1, 0.0, accepted, refused, slowest, slowest_seed, peak)
    os._exit(0)


def _memory_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


def campaign(name: str, seeds: range) -> Result:
    """All inputs of `seeds`, in processes one after another where one does not come through."""
    result, state, at = Result(), mmap.mmap(-1, 4096), seeds.start
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder:
        place = Path(folder)
        (place / "said").touch()
        while at < seeds.stop:
            _STATE.pack_into(state, 0, at, time.time(), *_STATE.unpack_from(state)[2:])
            child = os.fork()
            if child == 0:
                try:
                    _work(name, range(at, seeds.stop), state, place)
                finally:
                    os._exit(1)
            status, hung = _wait(child, state)
            at = _STATE.unpack_from(state)[0]
            if status != 0:
                ended = "a hang" if hung else f"the process ended with status {status}"
                result.add(ended, at)
                at += 1
        for line in (place / "said").read_text().splitlines():
            seed, fault = json.loads(line)
            result.add(fault, seed)
    _, _, result.accepted, result.refused, slowest, result.slowest_seed, peak = _STATE.unpack_from(state)
    result.slowest_ms, result.peak_mb = slowest / 1e6, peak / 1024
    return result


def _wait(child: int, state: mmap.mmap) -> tuple[int, bool]:
    """(the process's status, whether it was killed since an input took too long)."""
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status, False
        since = _STATE.unpack_from(state)[1]
        if since and time.time() - since > HUNG:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return signal.SIGKILL, True
        time.sleep(0.02)


# --- the command line -------------------------------------------------------------------------------


def kept(name: str) -> dict[str, bytes]:
    """The inputs that are kept for a reader: what is special about one -> its bytes."""
    found = json.loads(KEPT.read_text()).get(name, {})
    return {why: zlib.decompress(base64.b64decode(text)) for why, text in found.items()}


def keep(name: str, why: str, data: bytes) -> None:
    """Keep an input: the tests read it again in every run."""
    found = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    found.setdefault(name, {})[why] = base64.b64encode(zlib.compress(data, 9)).decode()
    KEPT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def collect(name: str, seeds: range, most: int) -> None:
    """Keep small inputs that end differently: accepted, and each kind of refusal, the frequent ones first."""
    subject, kinds = subjects.SUBJECTS[name], {}
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder, quiet():
        for seed in seeds:
            data = subject.input(name, seed)
            error = outcome(subject, data, Path(folder))
            kinds.setdefault("accepted" if error is None else _blurred(str(error))[:100], []).append(data)
    found = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    found.pop(name, None)
    KEPT.write_text(json.dumps(found))
    for why, inputs in sorted(kinds.items(), key=lambda item: -len(item[1]))[:most]:
        keep(name, why, min(inputs, key=lambda data: len(zlib.compress(data, 9))))


def replay(name: str, seed: int, why: str | None) -> int:
    """One input again, with what it gives."""
    subject = subjects.SUBJECTS[name]
    data = subject.input(name, seed)
    if why is not None:
        keep(name, why, data)
    print(f"{name} {seed}: {len(data):,} bytes, {data[:200]!a}")
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder, quiet():
        began = time.process_time()
        error = outcome(subject, data, Path(folder))
        spent = time.process_time() - began
    fault = fault_of(error) or ("slow" if spent > SECONDS else "")
    if isinstance(error, LenetEdgeError):
        print(f"refused: {str(error)!a}")
    else:
        print("accepted" if error is None else "".join(traceback.format_exception(error)))
    print(f"{1000 * spent:.1f} ms; {fault or 'as it should be'}")
    return 1 if fault else 0


def quiet() -> contextlib.AbstractContextManager[Any]:
    """What the commands print goes nowhere."""
    return contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", action="append", choices=list(subjects.SUBJECTS), help="all of them by default")
    parser.add_argument("--count", type=int, default=100_000, help="inputs for each reader")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="read this input again and show what it gives")
    parser.add_argument("--keep", metavar="WHY", help="with --seed: keep the input for the tests")
    parser.add_argument("--collect", type=int, metavar="N", help="keep inputs for the tests: N kinds of refusal")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="readers at a time")
    parser.add_argument("--record", action="store_true", help=f"put the figures into {RECORD.name}")
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    names = arguments.reader or list(subjects.SUBJECTS)
    if arguments.seed is not None:
        return max(replay(name, arguments.seed, arguments.keep) for name in names)
    seeds = range(arguments.start, arguments.start + arguments.count)
    if arguments.collect is not None:
        for name in names:
            collect(name, seeds, arguments.collect)
        return 0
    faults = 0
    print(f"{'reader':<20}{'inputs':>9}{'accepted':>10}{'refused':>10}{'slowest ms':>12}{'peak MB':>9}  faults")
    with ProcessPoolExecutor(arguments.jobs) as pool:
        running = {pool.submit(campaign, name, seeds): name for name in names}
        for done in as_completed(running):
            _show(running[done], len(seeds), done.result())
            faults += len(done.result().faults)
            if arguments.record:
                record(running[done], len(seeds), done.result())
    return 1 if faults else 0


def _show(name: str, inputs: int, result: Result) -> None:
    count = sum(map(len, result.faults.values()))
    figures = f"{inputs:>9,}{result.accepted:>10,}{result.refused:>10,}{result.slowest_ms:>12.1f}{result.peak_mb:>9.0f}"
    print(f"{name:<20}{figures}  {count}", flush=True)
    for fault, seeds in sorted(result.faults.items(), key=lambda item: -len(item[1])):
        print(f"    {len(seeds):6} {fault}; seeds {seeds[:5]}", flush=True)


def record(name: str, inputs: int, result: Result) -> None:
    """Put a reader's figures into the record, with the commit that they are of."""
    found = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    git = ["git", "-C", str(RECORD.parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    facts = {**vars(result), "slowest_ms": round(result.slowest_ms, 1), "peak_mb": round(result.peak_mb)}
    found[name] = {"inputs": inputs, **facts, "commit": commit}
    order = {each: found[each] for each in subjects.SUBJECTS if each in found}
    RECORD.write_text(json.dumps(order, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
