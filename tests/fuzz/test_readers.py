"""A short campaign against every reader, the inputs that are kept, and whether the campaign sees what it looks for."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path
from random import Random

import pytest
import readers
import subjects

from lenet_edge.errors import BadInputError
from lenet_edge.formats import tflite
from lenet_edge.formats.tflite.operators import SUPPORTED

INPUTS = 200
NAMES = tuple(subjects.SUBJECTS)


@pytest.fixture(autouse=True)
def _without_torch(monkeypatch, tmp_path):
    monkeypatch.setattr(subjects, "with_torch", False)
    monkeypatch.chdir(tmp_path)


def faults(name: str, inputs: dict[str, bytes], folder: Path) -> dict[str, str]:
    """What is wrong with how inputs are treated."""
    with readers.quiet():
        found = {why: readers.judge(subjects.SUBJECTS[name], data, folder)[1] for why, data in inputs.items()}
    return {why: fault for why, fault in found.items() if fault}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_damaged_inputs(name, tmp_path):
    inputs = {f"--seed {seed}": subjects.SUBJECTS[name].input(name, seed) for seed in range(INPUTS)}
    assert faults(name, inputs, tmp_path) == {}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_inputs_that_are_kept(name, tmp_path):
    assert faults(name, readers.kept(name), tmp_path) == {}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_damaged_was_valid(name, tmp_path):
    """Else all that is found is that nothing is read."""
    inputs = subjects.SUBJECTS[name].inputs()
    with readers.quiet():
        accepted = [readers.judge(subjects.SUBJECTS[name], subjects.whole(name, data), tmp_path)[0] for data in inputs]
    assert all(accepted)


def test_models_with_every_operator_and_end_are_damaged():
    inputs = subjects.SUBJECTS["tflite"].inputs()
    assert {name for data in inputs for name in tflite.operators_of(data)} == set(SUPPORTED)
    models = [tflite.from_bytes(data) for data in inputs]
    ends = [model.metadata.get("ends", {}) for model in models]
    assert {kind for each in ends for kind in each.get("inputs", ["int8"])} == {"int8", "uint8", "float32"}
    assert {kind for each in ends for kind in each.get("outputs", ["int8"])} == {"int8", "uint8", "float32"}
    assert any(len(model.inputs) > 1 and len(model.outputs) > 1 for model in models)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_is_an_input(name):
    subject = subjects.SUBJECTS[name]
    inputs = [subject.input(name, seed) for seed in range(30)]
    assert inputs == [subject.input(name, seed) for seed in range(30)]
    assert len(set(inputs)) > 20


# --- the campaign itself ----------------------------------------------------------------------------


def _misbehave(data: bytes, _folder: Path) -> None:
    """What the number in the input asks for."""
    number = int(data)
    if number == 3:
        raise ValueError("nobody foresaw this")
    if number == 5:
        raise BadInputError("")
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 11:
        time.sleep(600)
    if number == 13:
        _ = b"x" * 500_000_000
    if number == 15:
        end = time.process_time() + 1.5
        while time.process_time() < end:
            pass
    if number % 2:
        raise BadInputError("an odd number")


def _resident_mb() -> int:
    """Memory of this process: most of it belongs to what other tests have imported."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


def test_the_campaign_names_the_seed_of_each_fault(monkeypatch):
    def number_of(_random: Random, _data: bytes, _others: object) -> bytes:
        numbers.append(len(numbers))
        return b""

    numbers: list[int] = []
    subject = subjects.Subject(lambda: [b""], number_of, _misbehave)
    monkeypatch.setattr(subjects.Subject, "input", lambda _self, _name, seed: str(seed).encode())
    monkeypatch.setitem(subjects.SUBJECTS, "misbehaving", subject)
    monkeypatch.setattr(readers, "SECONDS", 1.0)
    monkeypatch.setattr(readers, "HUNG", 12.0)
    monkeypatch.setattr(readers, "MEGABYTES", _resident_mb() + 250)  # a process that is forked starts with that
    result = readers.campaign("misbehaving", range(20))
    kinds = {seed: fault for fault, seeds in result.faults.items() for seed in seeds}
    assert kinds[3].startswith("ValueError at test_readers.py")
    assert kinds[5] == "a message that is empty"
    assert kinds[7] == "the process ended with status 9"
    assert kinds[11] == "a hang"
    assert kinds[13].endswith(" MB")
    assert kinds[15] == "slow"
    others = {seed for seed, fault in kinds.items() if fault != "slow"}  # on a busy machine an import is slow, too
    assert others == {3, 5, 7, 11, 13}
    assert (result.accepted, result.refused) == (10, 8)


@pytest.mark.parametrize(
    ("message", "fault"),
    [("a\nb", "cannot be printed"), ("x" * 2001, "long"), (" ", "empty"), ("é: give a number", ""), ("x" * 2000, "")],
)
def test_what_a_message_must_be(message, fault):
    found = readers._message_fault(message)
    assert fault in found
    assert bool(fault) == bool(found)
