"""Messages suggested `--board NAME`, or the name of a board of one's own, which --board does not take: it takes a path.

The command in a message is one that works.
"""

import contextlib
from importlib import import_module
from types import SimpleNamespace

import fake_device
import made_elf
import numpy as np
import pytest
import sample_models

from lenet_edge.cli import common
from lenet_edge.engines import board as board_engine
from lenet_edge.errors import BadInputError, LinkError
from lenet_edge.formats import tflite
from lenet_edge.hardware import boards, serial_port, session
from lenet_edge.hardware.elf import Elf
from lenet_edge.hardware.flashing import stages
from lenet_edge.hardware.layout import require_layout
from lenet_edge.hardware.link import Device, Hello
from lenet_edge.resources import targets_folder

MODEL = sample_models.lenet5(51)
BUILD = "lenet-edge build --board "


@pytest.fixture(params=["microbit", "mine"])
def board(request, tmp_path):
    if request.param == "microbit":
        return boards.load("microbit")
    text = (targets_folder() / "microbit.toml").read_text().replace('"microbit"', '"mine"')
    (tmp_path / "mine.toml").write_text(text)
    return boards.load(str(tmp_path / "mine.toml"))


def test_what_board_takes(board):
    assert boards.load(board.argument) == board


def test_firmware_that_is_not_there(board, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "model.tflite"
    model.write_bytes(tflite.to_bytes(MODEL))
    nothing = tmp_path / "nothing"
    images = np.zeros((1, 28, 28, 1), np.int8)
    flash = import_module("lenet_edge.cli.flash")
    for use in (
        lambda: common.built_firmware(board, MODEL, nothing),
        lambda: flash._candidate(board, model, nothing),
        lambda: flash._candidate(board, model, None),
        lambda: board_engine.run(nothing, images, board=board, emulator="unicorn"),
    ):
        with pytest.raises(BadInputError) as refused:
            use()
        assert str(refused.value).endswith(f"holds no firmware; make it with: {BUILD}{board.argument}")


def test_an_elf_that_is_missing_or_not_the_board_s(board, tmp_path):
    with pytest.raises(LinkError) as refused:
        session._read_image(board, tmp_path / "no.elf")
    assert f"`{BUILD}{board.argument}`" in str(refused.value)
    evil = made_elf.Sect(".evil", 0x8000, b"evil")
    content = made_elf.elf([made_elf.Part(0, 0, Elf(made_elf.firmware(b"ran")).segments[0].content)], [evil])
    with pytest.raises(BadInputError) as refused:
        require_layout(Elf(content), board, "x.elf")
    assert str(refused.value).endswith(f"{BUILD}{board.argument}")


def test_a_record_that_bench_compares_with(board, tmp_path):
    with pytest.raises(BadInputError) as refused:
        import_module("lenet_edge.cli.bench")._read_earlier(tmp_path / "no.json", board)
    assert str(refused.value).endswith(f"lenet-edge bench --board {board.argument}")


class Another(Device):
    """A device that runs the firmware of another board."""

    timeout_s = 10.0

    def __init__(self, *_):
        pass

    def banner(self):
        return ""

    def hello(self):
        return Hello.parse(fake_device.hello_body(name=b"another"))


def test_a_device_with_another_s_firmware(board, tmp_path, monkeypatch):
    (tmp_path / "firmware.elf").write_bytes(made_elf.firmware())
    stream = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(session, "Device", Another)
    monkeypatch.setattr(session, "choose_emulator", lambda *_: "unicorn")
    monkeypatch.setattr(session, "_start", lambda *_: (stream, list))
    monkeypatch.setattr(serial_port, "SerialStream", lambda *_: stream)
    for use in (
        lambda: session.open_port(board, "/dev/ttyX", MODEL.fingerprint),
        lambda: session.connect(board, tmp_path / "firmware.elf", MODEL.fingerprint),
        lambda: contextlib.nullcontext(stages._self_test(Another(), SimpleNamespace(board=board), MODEL)),
    ):
        with pytest.raises(LinkError) as refused, use():
            pass
        assert f"board another, not of {board.name}" in str(refused.value)
        assert f"({BUILD}{board.argument})" in str(refused.value)
