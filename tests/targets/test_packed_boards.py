"""Packed weights on boards: the reference's integers, and `build` packs only what does not fit otherwise."""

from __future__ import annotations

import json
from dataclasses import replace

import packed_models
import pytest
import workbench
from packed_models import MIXED
from random_chains import Chain

from lenet_edge.errors import CheckFailedError
from lenet_edge.estimate import estimate
from lenet_edge.formats import tflite
from lenet_edge.hardware import boards, firmware, session
from lenet_edge.hardware.flashing import gate

MODEL = packed_models.lenet5_mixed(51)


def small(name: str, flash_bytes: int):
    board = boards.load(name)
    return replace(board, flash=replace(board.flash, size_bytes=flash_bytes))


def require_the_integers(board, built, count=8):
    images = workbench.images(MODEL, count)
    with session.connect(board, built.elf, MODEL.fingerprint) as running:
        assert (running.device.infer_all(images) != workbench.reference(MODEL, images)).sum() == 0


@pytest.mark.parametrize("name", ["microbit", "sifive_e", "atmega2560"])
def test_every_packing_on_a_board(name, tmp_path):
    """With the fast kernels of the family around them; an AVR reads through 24-bit pointers, with an int of 16 bits."""
    workbench.need(name, "gcc")
    board = boards.load(name)
    built = firmware.build(MODEL, board, tmp_path / "out", packing="C3=4,C5=trits,F6=2")
    assert (dict(built.packing), built.why_packed) == (MIXED, "")
    require_the_integers(board, built, 3 if name == "atmega2560" else 8)


@pytest.mark.parametrize("name", ["microbit", "atmega2560"])
def test_a_depthwise_layer_on_a_board(name, tmp_path):
    """Its structure has another one in it, which an AVR reads from far flash."""
    workbench.need(name, "gcc")
    chain = Chain(5, (12, 12, 4), tie_free=True).depthwise(4, (5, 5), (1, 1), "same", name="depth").pool((2, 2))
    model = packed_models.few_bits(chain.flatten().fully_connected(4, clamp=(-128, 127)).build(), {"depth": 1})
    board = boards.load(name)
    built = firmware.build(model, board, tmp_path / "out", packing="depth=trits")
    assert built.packing == {"depth": "trits"}
    images = workbench.images(model, 3)
    with session.connect(board, built.elf, model.fingerprint) as running:
        assert (running.device.infer_all(images) != workbench.reference(model, images)).sum() == 0


def test_what_does_not_fit_in_bytes_is_packed(tmp_path):
    """And the gate in front of a real board takes it, unless the manifest is edited."""
    workbench.need("microbit", "gcc")
    board = small("microbit", 0x8000)
    built = firmware.build(MODEL, board, tmp_path / "out")
    assert built == firmware.load(tmp_path / "out")
    assert dict(built.packing) == {"C5": "trits", "F6": "trits"}
    assert "weights and biases alone take 62,414 bytes" in built.why_packed
    assert "do not fit the 32,768 of microbit" in built.why_packed
    assert built.sizes.flash <= 0x8000
    assert built.sizes.weights == 62_414 - (48_000 - 9_600) - (10_080 - 84 * 24)
    require_the_integers(board, built)
    judged = gate._tables(gate.Candidate(board, MODEL, built, built.elf.read_bytes()))
    assert judged.met, judged.problem
    for packing in ({}, {"C5": "trits"}, {"C5": "trits", "F6": "2"}, {"C1": "4"}, {"X": "trits"}):
        edited = replace(built, packing=packing)
        assert not gate._tables(gate.Candidate(board, MODEL, edited, built.elf.read_bytes())).met


def test_one_layer_is_enough(tmp_path):
    workbench.need("microbit", "gcc")
    board = small("microbit", 0x10000)
    built = firmware.build(MODEL, board, tmp_path / "out")
    assert dict(built.packing) == {"C5": "trits"}
    assert built.why_packed.startswith("with a byte for each weight the firmware takes 7")
    assert estimate(MODEL, board).packing == built.packing


def test_what_does_not_fit_either_way(tmp_path):
    workbench.need("microbit", "gcc")
    said = "tables of the model .* with C3 in 4 bits and C5 in five trits a byte and F6 in five trits a byte, code "
    with pytest.raises(CheckFailedError, match=r"flash: .* more than the 16,384 of microbit \(" + said):
        firmware.build(MODEL, small("microbit", 0x4000), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(cli):
    workbench.need("microbit", "gcc")
    cli.model.write_bytes(tflite.to_bytes(MODEL))
    done = cli("build", "--board", "microbit", "--model", cli.model, "--weight-packing", "C5=2", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["packing"] == {"C5": "2"}
    done = cli("build", "--board", "microbit", "--model", cli.model, "--weight-packing", "C1=trits")
    workbench.refused(done, 3, "weight packing 'C1=trits': layer C1 has weights of up to 126; five trits a byte hold")
