"""`run` and `bench` started it in an emulator, for as long as a large model's self-test takes, and then refused it."""

from pathlib import Path

import pytest
import sample_models
from click.testing import CliRunner

from lenet_edge.cli import cli
from lenet_edge.errors import BadInputError
from lenet_edge.formats import tflite
from lenet_edge.hardware import session
from lenet_edge.records import write_artefact

MODEL, OTHER = sample_models.lenet5(51), sample_models.lenet5(52)
SIZES = dict.fromkeys(("code", "tables", "weights", "buffers", "stack", "input_image"), 1)


def nothing_starts(*_arguments, **_options):
    raise AssertionError("an emulator was started")


@pytest.mark.parametrize("command", ["run", "bench"])
def test_it_is_refused_before_anything_starts(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "connect", nothing_starts)
    Path("model.tflite").write_bytes(tflite.to_bytes(MODEL))
    words = {"toolchain": "gcc", "optimize": "speed", "family": "plain", "sizes": SIZES, "board": "microbit"}
    folder = Path("build/firmware/microbit")
    write_artefact(folder, {"firmware.elf": b"ELF"}, OTHER.fingerprint, image_sha256="0" * 64, **words)
    arguments = ("--board", "microbit", "--model", "model.tflite", "--data", "noise", "--images", "1")
    done = CliRunner().invoke(cli, [command, *arguments])
    assert isinstance(done.exception, BadInputError)
    expected = (
        f"{folder} holds the firmware of model {OTHER.fingerprint[:16]}, not of {MODEL.fingerprint[:16]}; build it"
    )
    assert str(done.exception).startswith(expected)
    assert "lenet-edge build --board microbit" in str(done.exception)
