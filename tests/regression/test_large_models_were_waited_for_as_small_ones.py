"""Every command waits for a board as long as its model may take; `run`, `check` and `flash` gave up after a minute."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from lenet_edge.cli.run import _session
from lenet_edge.engines import board as engine
from lenet_edge.engines import board_worker, worker
from lenet_edge.errors import LinkError
from lenet_edge.hardware import boards, firmware, session
from lenet_edge.hardware.flashing import stages
from lenet_edge.hardware.flashing.flashers import EMULATOR, Job
from lenet_edge.hardware.link import Device
from lenet_edge.quantized.model import Conv2d, QTensor, QuantizedModel

BOARD = boards.load("mps2-an386")


def model_of(channels: int) -> QuantizedModel:
    tensors = [QTensor((64, 64, count), 0.5, 0) for count in (channels, channels)]
    weights = np.zeros((channels, 3, 3, channels), np.int8)
    scales, bias = np.full(channels, 0.5, np.float32), np.zeros(channels, np.int32)
    return QuantizedModel((Conv2d("C1", *tensors, weights, scales, bias, padding="same"),))


SMALL, LARGE = model_of(4), model_of(45)  # 0.6 and 75 million multiply-accumulates


class Silent(Device):
    """A device that says nothing, and remembers for how long it was waited for."""

    waits: ClassVar[list[float]] = []

    def banner(self):
        self.waits.append(self.timeout_s)
        raise LinkError("no banner")

    def hello(self):
        self.waits.append(self.timeout_s)
        raise LinkError("no reply")


class Stream:
    def close(self):
        pass


@pytest.fixture
def waits(monkeypatch):
    """The seconds that devices were waited for; nothing runs."""
    monkeypatch.setattr(Silent, "waits", [])
    for module in (session, stages):
        monkeypatch.setattr(module, "Device", Silent)
    monkeypatch.setattr(session, "_start", lambda *_: (Stream(), None))
    monkeypatch.setattr(session, "_read_image", lambda *_: None)
    monkeypatch.setattr(session, "to_elf", lambda _: b"")
    monkeypatch.setattr("lenet_edge.hardware.serial_port.SerialStream", lambda *_: Stream())
    return Silent.waits


def firmware_of(folder):
    return firmware.Firmware(folder, "", "", "", "", "", "", None, {}, {}, "", 0, ())


def asked_by_run(model, port=None):
    built = None if port else firmware_of(Path("build/firmware"))
    with pytest.raises(LinkError), _session(BOARD, model, built, "qemu", port):
        pass


def asked_by_check(model, monkeypatch, tmp_path):
    """Through the worker's command line, as its process gets it."""
    limits = []

    def in_this_process(argv, timeout_s):
        limits.append(timeout_s)
        return board_worker.main(argv[argv.index("lenet_edge.engines.board_worker") + 1 :]), "no banner"

    monkeypatch.setattr(worker, "run_process", in_this_process)
    monkeypatch.setattr(engine.children, "python_module", lambda *arguments: [sys.executable, "-m", *arguments])
    monkeypatch.setattr(firmware, "load", lambda *_: replace(firmware_of(tmp_path), fingerprint=model.fingerprint))
    (tmp_path / "firmware.elf").write_bytes(b"")
    images = np.zeros((3, *model.input.shape), np.int8)
    with pytest.raises(LinkError):
        engine.run(tmp_path, images, board=BOARD, emulator="qemu", macs=session.macs_of(model))
    return limits


def asked_by_flash(model):
    job = Job(BOARD, EMULATOR, "", SimpleNamespace(segments=()))
    running = stages._Run(job, None, 1.0, lambda _: None, session.macs_of(model))
    running.tool = lambda _argv: ""
    with pytest.raises(LinkError):
        stages._start(running, Stream(), None, None)


def test_run_and_check_wait_alike(waits, monkeypatch, tmp_path):
    asked_by_run(SMALL)
    asked_by_check(SMALL, monkeypatch, tmp_path)
    assert waits == [60.0, 60.0]
    waits.clear()
    asked_by_run(LARGE)
    (process_s,) = asked_by_check(LARGE, monkeypatch, tmp_path)
    assert waits[0] == waits[1] > 60 + 4 * 73  # four images of the self-test, a second for a million of each
    assert process_s > waits[1] + 3 * 73


def test_flash_waits_for_the_self_test(waits):
    asked_by_flash(SMALL)
    asked_by_flash(LARGE)
    assert waits[0] == 30.0
    assert waits[1] > 30 + 4 * 73


def test_a_real_board_is_waited_for_by_its_clock(waits):
    asked_by_run(SMALL, port="/dev/ttyX")
    asked_by_run(LARGE, port="/dev/ttyX")
    assert waits[0] == 10.0
    assert waits[1] == 10.0 + 4 * session.inference_s(BOARD, session.macs_of(LARGE))
    at_16_mhz = replace(BOARD, cpu=replace(BOARD.cpu, clock_hz=16_000_000))
    at_160_mhz = replace(BOARD, cpu=replace(BOARD.cpu, clock_hz=160_000_000))
    macs = 1_000_000 + 16_000_000
    assert session.inference_s(at_16_mhz, macs) == 100  # a hundred cycles for each
    assert session.inference_s(at_160_mhz, macs) == 10


def test_counting_in_python_is_waited_for_longer():
    macs = session.macs_of(LARGE)
    counting = session.inference_s(BOARD, macs, "unicorn", count=True)
    assert counting == 10 * session.inference_s(BOARD, macs, "unicorn")
    assert session.inference_s(BOARD, macs, "qemu", count=True) == session.inference_s(BOARD, macs, "qemu")
