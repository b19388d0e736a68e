"""The page's server with a board behind it: an emulated micro:bit that is killed, one on a port that is unplugged."""

from __future__ import annotations

import os
import signal
import time

import pytest
import workbench
from page_servers import children, server
from plugged import Plugged

from lenet_edge.hardware import boards, session
from lenet_edge.page_server import lasting
from lenet_edge.page_server.lasting import WantedBoard

MODEL = workbench.LENET5
IMAGES = workbench.images(MODEL, 6)
INPUT_BYTES = IMAGES[0].size


def emulated(firmware, emulator, unit="instructions"):
    """The firmware in that emulator."""
    board, known = boards.load(firmware.board), {"sizes": session.sizes_of(MODEL), "macs": session.macs_of(MODEL)}
    workbench.need(board.name, None, emulator)

    def connect():
        return session.connect(board, firmware.elf, MODEL.fingerprint, emulator=emulator, count=True, **known)

    return WantedBoard(board.name, "emulator", MODEL.fingerprint, INPUT_BYTES, unit, connect)


def answers(running, images=IMAGES):
    """What the board says of the images; its logits are the reference's."""
    replies = [running.infer(image.tobytes()) for image in images]
    assert [reply.status for reply in replies] == [200] * len(images)
    found = [reply.content for reply in replies]
    assert [answer["logits"] for answer in found] == workbench.reference(MODEL, images).tolist()
    return found


@pytest.mark.parametrize(
    ("board", "emulator", "unit"),
    [
        ("microbit", "unicorn", "instructions"),
        ("microbit", "qemu", "instructions"),
        ("atmega2560", "simavr", "cycles"),
    ],
)
def test_logits_and_counts_are_those_of_the_chip(build, board, emulator, unit):
    images = IMAGES[: 2 if emulator == "simavr" else len(IMAGES)]
    with server(emulated(build(board), emulator, unit)) as running:
        running.await_state("ready", 240)
        found = answers(running, images)
        assert {answer["unit"] for answer in found} == {unit}
        counts = [answer["count"] for answer in found]
        assert answers(running, images[:1])[0]["count"] == counts[0]  # exact, and of that image
    with emulated(build(board), emulator, unit).open() as running:  # the counts that `bench` would show
        running.device.infer_all(images)
        calls = running.counts()[-len(images) :]
        assert counts == [sum(call.cycles or call.instructions) for call in calls]


def test_an_emulator_that_is_killed_is_started_again(build, monkeypatch):
    monkeypatch.setattr(lasting, "_FIRST_PAUSE_S", 4.0)  # long enough to be seen on a busy machine
    with server(emulated(build("microbit"), "qemu")) as running:
        running.await_state("ready")
        counts = [answer["count"] for answer in answers(running)]
        for _ in range(2):
            (killed,) = children(os.getpid(), "qemu")
            os.kill(killed, signal.SIGKILL)
            lost = running.await_state("lost")
            assert "was ended by signal 9" in lost["message"]
            assert running.infer(IMAGES[0].tobytes()).status in (200, 503)
            running.await_state("ready")
            assert killed not in children(os.getpid(), "qemu")
            assert [answer["count"] for answer in answers(running)] == counts
    assert children(os.getpid(), "qemu") == []


@pytest.fixture
def plugged(tmp_path):
    with Plugged(tmp_path) as board:
        yield board


@pytest.fixture
def asking(plugged):
    """A server that looks for a board at that port."""
    known = {"sizes": session.sizes_of(MODEL), "macs": session.macs_of(MODEL)}

    def open_port():
        return session.open_port(None, str(plugged.device), MODEL.fingerprint, **known)

    with server(WantedBoard(str(plugged.device), "port", MODEL.fingerprint, INPUT_BYTES, "", open_port)) as running:
        yield running


def await_message(running, part):
    deadline = time.monotonic() + 60
    while part not in (board := running.board())["message"]:
        assert time.monotonic() < deadline, board
        time.sleep(0.05)
    return board


def test_a_board_that_is_unplugged_and_plugged_in_again(build, plugged, asking):
    assert "cannot be opened" in asking.await_state("lost")["message"]
    plugged.plug_in(build("microbit"))
    ready = asking.await_state("ready")
    assert (ready["board"], ready["kind"], ready["unit"]) == ("microbit", "port", "cycles")
    assert all(answer["count"] is not None for answer in answers(asking))
    plugged.unplug()
    assert str(plugged.device) in asking.await_state("lost")["message"]  # nobody had asked it anything
    assert asking.infer(IMAGES[0].tobytes()).status == 503
    plugged.plug_in(build("microbit"))
    asking.await_state("ready")
    answers(asking)


def test_a_board_with_another_model_is_refused_until_it_has_the_right_one(build, plugged, asking):
    """Also where it is flashed through a debug probe, while its port stays open."""
    right, other = build("microbit"), build("microbit", model=workbench.OTHER)
    plugged.plug_in(other)
    board = await_message(asking, f"runs the firmware of model {workbench.OTHER.fingerprint}")
    assert board["state"] == "lost"
    assert "lenet-edge build --board microbit" in board["message"]  # what to do
    assert asking.infer(IMAGES[0].tobytes()).status == 503
    plugged.flash(right)
    asking.await_state("ready")
    answers(asking)
    plugged.flash(other)
    assert asking.infer(IMAGES[0].tobytes()).status == 503  # and never the other model's logits
    await_message(asking, workbench.OTHER.fingerprint)
    plugged.flash(right)
    asking.await_state("ready")
    answers(asking)
