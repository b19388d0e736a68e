"""`quantize --fit-board` on a real, tiny network: the bits are those of the weights, the test set counts once."""

import json

import numpy as np
import pytest

from lenet_edge import records
from lenet_edge.formats import tflite
from lenet_edge.hardware import boards

LEVELS = {8: 63, 4: 7, 2: 1}
FLASH = 8_000  # lenet5-tiny takes 7,440 with the fewest bits, as GCC 12 builds it, and 11,500 with 8


def board_file(folder, flash):
    """A board without fast kernels that has so many bytes of flash."""
    text = boards.load("sifive_e").path.read_text(encoding="utf-8")
    text = text.replace('name = "sifive_e"', 'name = "small"').replace('kernels = "rv32"', 'kernels = "plain"')
    path = folder / "small.toml"
    path.write_text(f"{text}\n[budget]\nflash_bytes = {flash}\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(run_cli, bands_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    done = run_cli("train", "--data", bands_data, "--network", "lenet5-tiny", "--epochs", 1, cwd=folder)
    assert done.code == 0, done.stderr
    return folder


def quantize(run_cli, folder, data, *options):
    model = folder / "build/lenet5-tiny.safetensors"
    return run_cli("quantize", "--model", model, "--data", data, "--epochs", 1, *options, cwd=folder)


def test_the_bits_that_fit_are_found_and_the_model_has_them(run_cli, bands_data, trained):
    board = board_file(trained, FLASH)
    options = ("--fit-board", board, "--candidates", 2, "--weight-bits", "C1=8")
    done = quantize(run_cli, trained, bands_data, *options, "--json")
    assert done.code == 0, done.stderr
    model = tflite.read(trained / "build/lenet5-tiny-int8.tflite")
    record = records.read_fit(trained / "build/lenet5-tiny-int8.fit.json")
    assert json.loads(json.dumps(record.content())) == done.json["fit"]
    assert record.fingerprint == model.fingerprint == done.json["fingerprint"]
    chosen = record.front[record.chosen]
    assert chosen.flash_bytes <= FLASH
    assert 1 <= sum(row.validation_accuracy is not None for row in record.front) <= 2
    assert done.json["weight_bits"] == {name: bits for name, bits in chosen.bits.items() if bits < 8}
    assert chosen.bits["C1"] == 8
    for layer in model.layers:
        if hasattr(layer, "weights"):
            assert np.abs(layer.weights).max() <= 2 * LEVELS[chosen.bits[layer.name]]
    assert done.json["proof"]["disagreements"] == 0
    assert (trained / "build/lenet5-tiny-int8.fit.svg").read_text().count("<svg") == 1


def test_a_board_that_nothing_fits(run_cli, bands_data, trained):
    before = sorted(path.name for path in (trained / "build").iterdir())
    done = quantize(run_cli, trained, bands_data, "--fit-board", board_file(trained, 5000))
    assert (done.code, done.stdout) == (1, "")
    assert "nothing fits small: with the fewest bits" in done.stderr
    assert "bytes more than 5,000 of flash" in done.stderr
    assert "short trainings" not in done.stderr
    assert sorted(path.name for path in (trained / "build").iterdir()) == before


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--fit-board", "micobit"), 3, "Did you mean 'microbit'?"),
        (("--fit-board", "microbit", "--grid", "ordinary"), 2, "--fit-board is for the tie-free grid"),
        (("--candidates", "5"), 2, "--candidates has no effect without --fit-board"),
    ],
)
def test_what_makes_no_sense_is_refused(run_cli, trained, options, code, message):
    done = quantize(run_cli, trained, trained / "none", *options)
    assert done.code == code, done.stderr
    assert message in " ".join(done.stderr.split())
