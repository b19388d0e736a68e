"""No count of a board may grow by more than 1 % over its record in benchmarks/.

Boards with the same processor have the same kernels, so that one of them is run, and the others' records must say the
same but for the bytes of their firmware.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import workbench

from lenet_edge.formats import c_source
from lenet_edge.hardware import boards, toolchain
from lenet_edge.hardware.elf import Elf

RECORDS = Path(__file__).parents[2] / "benchmarks"
IMAGES = 8  # as benchmarks/measure.py


def test_every_board_has_its_records():
    """Both ends of the trade-off where a board has fast kernels."""
    fast = {name for name in workbench.holders() if boards.load(name).cpu.kernels != c_source.PLAIN}
    names = {f"{name}-speed" for name in workbench.holders()} | {f"{name}-size" for name in fast}
    assert {path.stem for path in RECORDS.glob("*.json")} == names


def board_of(path):
    """The board of a record, and what it was built for."""
    board, _, optimize = path.stem.rpartition("-")
    return board, optimize


def of_its_toolchain(board, earlier):
    """Skip the test where the record was made with another compiler."""
    workbench.need(board, "gcc", earlier["emulator"])
    if toolchain.version(toolchain.choose(boards.load(board), "gcc")) != earlier["toolchain"]:
        pytest.skip(f"the record of {board} was made with {earlier['toolchain']}")


ALL = sorted(RECORDS.glob("*.json"))
FIRST = [path for path in ALL if workbench.alike(board_of(path)[0]) == board_of(path)[0]]


@pytest.mark.parametrize("path", FIRST, ids=lambda path: path.stem)
def test_no_count_has_grown(build, cli, path):
    board, optimize = board_of(path)
    earlier = json.loads(path.read_text())
    of_its_toolchain(board, earlier)
    data = workbench.data_folder(cli.folder / "data", IMAGES)
    arguments = ("--board", board, "--model", cli.model, "--firmware", build(board, optimize=optimize).folder)
    options = ("--data", data, "--images", IMAGES, "--emulator", earlier["emulator"], "--json")
    done = cli("bench", *arguments, *options, "--compare", path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["flash_bytes"] <= 1.01 * earlier["flash_bytes"]
    assert found["ram_bytes"] <= 1.01 * earlier["ram_bytes"]
    assert found["total"] >= 0.99 * earlier["total"], "it became faster: make benchmarks, and commit the records"


@pytest.mark.parametrize("path", sorted(set(ALL) - set(FIRST)), ids=lambda path: path.stem)
def test_another_board_with_that_processor_has_its_counts(build, path):
    board, optimize = board_of(path)
    first, earlier = (
        json.loads((RECORDS / f"{name}-{optimize}.json").read_text()) for name in (workbench.alike(board), board)
    )
    of_its_toolchain(board, earlier)
    for key in ("layers", "total", "ram_bytes", "stack_used_bytes", "toolchain", "images"):
        assert earlier[key] == first[key], key
    built, one = (build(name, optimize=optimize) for name in (board, workbench.alike(board)))
    assert built.sizes.flash <= 1.01 * earlier["flash_bytes"]
    assert built.sizes.buffers == one.sizes.buffers
    assert kernels_of(built) == kernels_of(one) != set()


def kernels_of(built):
    """Name and size of what computes, with the tables."""
    found = Elf(built.elf.read_bytes()).symbols.values()
    return {(each.name, each.size) for each in found if each.name.startswith("layer_") or each.name.endswith("_s8")}


def test_a_count_that_has_grown_is_seen(build, cli, tmp_path):
    workbench.need("mps2-an386", "gcc", "unicorn")
    earlier = json.loads((RECORDS / "mps2-an386-speed.json").read_text())
    earlier["layers"][1]["count"] = int(earlier["layers"][1]["count"] / 1.02)
    (tmp_path / "earlier.json").write_text(json.dumps(earlier))
    data = workbench.data_folder(cli.folder / "data", 2)
    arguments = ("--board", "mps2-an386", "--model", cli.model, "--firmware", build("mps2-an386").folder)
    done = cli("bench", *arguments, "--data", data, "--images", 2, "--compare", tmp_path / "earlier.json")
    assert done.returncode == 1
    assert "C3+S4" in done.stderr
