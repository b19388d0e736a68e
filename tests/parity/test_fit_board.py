"""`quantize --fit-board` on a real, tiny network: the bits are those of the weights, the test set counts once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lenet_edge import records
from lenet_edge.cli import quantize_fit
from lenet_edge.formats import tflite
from lenet_edge.hardware import boards
from lenet_edge.learning import qat_weights

LEVELS = {8: 63, 4: 7, 2: 1}
FLASH = 8_000  # lenet5-tiny takes 7,440 with the fewest bits, as GCC 12 builds it, and 11,500 with 8


def board_file(folder, flash):
    """A board that has so many bytes of flash; with its fast kernels lenet5-tiny takes 11,846 with C1=8."""
    text = boards.load("sifive_e").path.read_text(encoding="utf-8")
    text = text.replace('name = "sifive_e"', 'name = "small"')
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


def options_in(folder):
    return "--fit-board", board_file(folder, FLASH), "--optimize", "size", "--candidates", 2, "--weight-bits", "C1=8"


def results(folder):
    """What the command leaves."""
    return {path.name: path.read_bytes() for path in (folder / "build").glob("lenet5-tiny-int8.*")}


def copy_of(trained, folder):
    """A folder that has nothing but the float model."""
    (folder / "build").mkdir()
    shutil.copy(trained / "build/lenet5-tiny.safetensors", folder / "build")
    return folder


def test_the_bits_that_fit_are_found_and_the_model_has_them(run_cli, bands_data, trained):
    done = quantize(run_cli, trained, bands_data, *options_in(trained), "--json")
    assert done.code == 0, done.stderr
    model = tflite.read(trained / "build/lenet5-tiny-int8.tflite")
    record = records.read_fit(trained / "build/lenet5-tiny-int8.fit.json")
    assert json.loads(json.dumps(record.content())) == done.json["fit"]
    assert record.fingerprint == model.fingerprint == done.json["fingerprint"]
    chosen = record.front[record.chosen]
    assert chosen.flash_bytes <= FLASH
    assert record.optimize == "size"
    assert 1 <= sum(row.validation_accuracy is not None for row in record.front) <= 2
    assert done.json["weight_bits"] == {name: bits for name, bits in chosen.bits.items() if bits < 8}
    assert chosen.bits["C1"] == 8
    for layer in model.layers:
        if hasattr(layer, "weights"):
            assert np.abs(layer.weights).max() <= 2 * LEVELS[chosen.bits[layer.name]]
    assert done.json["proof"]["disagreements"] == 0
    assert (trained / "build/lenet5-tiny-int8.fit.svg").read_text().count("<svg") == 1


def test_a_search_that_is_killed_amid_a_training_goes_on(run_cli, bands_data, trained, tmp_path):
    """After the test above, and with what it leaves: the same files, and nothing that was there is made again."""
    folder, log = copy_of(trained, tmp_path), tmp_path / "stderr"
    asked = ["--model", "build/lenet5-tiny.safetensors", "--data", bands_data, "--epochs", 1, *options_in(folder)]
    argv = [sys.executable, "-m", "lenet_edge", "quantize", *map(str, asked)]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as stderr:
        process = subprocess.Popen(argv, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)
    until = time.monotonic() + 240
    while log.read_text().count("\ntraining C1=8") < 2:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    assert results(folder) == {}
    (measured,) = (folder / "build/fit").glob("lenet5-tiny-*/measured.json")
    before = measured.stat().st_mtime_ns
    (first,) = measured.parent.glob("*.qat.safetensors")
    done = quantize(run_cli, folder, bands_data, *options_in(folder))
    assert done.code == 0, done.stderr
    assert "6 short trainings, of which build/fit/lenet5-tiny-" in done.stderr
    assert f"{first.relative_to(folder)} has them, trained before" in done.stderr
    assert done.stderr.count("has them, trained before") == 1
    assert measured.stat().st_mtime_ns == before
    assert results(folder) == results(trained)


def test_weights_that_are_damaged_or_of_another_search_are_trained_again(trained, tmp_path, capsys):
    """Those that the first test left."""
    first, second = sorted((trained / "build/fit").glob("*/*.qat.safetensors"))
    mark = qat_weights.load(first).metadata["search"]
    assert quantize_fit.kept_network(first, mark) is not None
    assert quantize_fit.kept_network(tmp_path / "none", mark) is None
    damaged = tmp_path / "damaged.qat.safetensors"
    damaged.write_bytes(first.read_bytes()[:-1])
    said = {second: f"{second} is of another search", damaged: f"{damaged} is not a readable safetensors file"}
    for path, words in said.items():
        capsys.readouterr()
        assert quantize_fit.kept_network(path, mark) is None
        assert f"training again: {words}".replace(" ", "") in "".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("ending", [".fit.json", ".qat.safetensors"])
def test_a_folder_where_a_result_should_be(run_cli, bands_data, trained, tmp_path, ending):
    """It is refused before anything is trained."""
    (tmp_path / f"x{ending}").mkdir()
    options = ("--fit-board", board_file(tmp_path, FLASH)) if "fit" in ending else ()
    done = quantize(run_cli, trained, bands_data, *options, "--out", tmp_path / "x.tflite")
    assert (done.code, done.stdout) == (3, "")
    said = f"cannot write {tmp_path}/x{ending}: it is a folder"
    assert said.replace(" ", "") in "".join(done.stderr.split())
    assert "epoch" not in done.stderr
    assert "what fits" not in done.stderr


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
        (("--optimize", "size"), 2, "--optimize has no effect without --fit-board"),
    ],
)
def test_what_makes_no_sense_is_refused(run_cli, trained, options, code, message):
    done = quantize(run_cli, trained, trained / "none", *options)
    assert done.code == code, done.stderr
    assert message in " ".join(done.stderr.split())
