"""`lenet-edge fits`: what it takes, its table, its exit codes."""

from __future__ import annotations

import json

import estimated_networks
import numpy as np
import pytest
from estimated_networks import made_up

from lenet_edge.estimate import FITS, IMPOSSIBLE, TIGHT, TOO_BIG
from lenet_edge.formats import tflite
from lenet_edge.hardware import boards
from lenet_edge.learning import checkpoint
from lenet_edge.networks import reader, shapes

HOSTILE = "x[red]\N{SNOWMAN}/x.toml"


def test_all_boards_the_smallest_that_fits_first(run):
    done = run("fits", "lenet5", "--json")
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert (content["input"], content["outputs"], content["weights"]) == ([28, 28, 1], 10, 61_470)
    found = content["boards"]
    assert sorted(board["board"] for board in found) == list(boards.board_names())
    order = [(FITS, TIGHT, TOO_BIG, IMPOSSIBLE).index(board["verdict"]) for board in found]
    assert order == sorted(order)
    fitting = [board["flash_budget_bytes"] for board in found if board["verdict"] == FITS]
    assert fitting == sorted(fitting)


def test_one_board_decides_the_exit_code(run):
    done = run("fits", "lenet5", "--board", "stm32vldiscovery", "--board", "pico", "--size", "96", "--colour")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("lenet5 does not fit stm32vldiscovery")
    assert "images of 96 x 96 in colour" in done.stdout
    assert "bytes of flash and" in done.stdout
    done = run("fits", "lenet5", "--board", "pico", "--size", "32x28")
    assert done.returncode == 0
    assert "images of 32 x 28 in grey" in done.stdout


def test_more_weights_than_any_board_holds_are_too_big_and_not_an_error(run):
    done = run("fits", "mlp", "--size", "4096", "--colour", "--board", "mps2-an386", "--json")
    assert done.returncode == 1
    (board,) = json.loads(done.stdout)["boards"]
    assert (board["verdict"], board["flash_over"]) == (TOO_BIG, 64 * 3 * 4096**2 + 64 * 32 + 32 * 10 - 4_194_304)


def test_a_tflite_has_its_own_size(run, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite.to_bytes(made_up(estimated_networks.tiny(), (16, 12, 1), 4)))
    done = run("fits", path, "--board", "microbit", "--json")
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert (content["input"], content["outputs"]) == ([16, 12, 1], 4)
    for options in (("--classes", "3"), ("--size", "16"), ("--grey",)):
        done = run("fits", path, *options)
        assert done.returncode == 2
        assert "has no effect with a model" in done.stderr


def test_a_checkpoint_has_its_network_size_and_class_names(run, tmp_path):
    network, shape, names = reader.load("lenet5-tiny"), (24, 20, 3), ["left", "right"]
    sizes = shapes.weight_shapes(network, shape, 2)
    tensors = {name: np.zeros(size, np.float32) for name, size in sizes.items()}
    about = {"kind": "float", "arch": "lenet5-tiny", "classes": names, "dataset": "arrows"}
    about |= {"network": reader.to_json(network), "image_shape": list(shape)}
    path = tmp_path / "build" / "tiny.safetensors"
    path.parent.mkdir()
    checkpoint.save(path, tensors, about)
    done = run("fits", path, "--board", "microbit", "--json")
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert (content["input"], content["outputs"]) == ([24, 20, 3], 2)
    by_numbers = run(
        "fits", "lenet5-tiny", "--size", "20x24", "--colour", "--classes", "2", "--board", "microbit", "--json"
    )
    (named,), (numbered,) = content["boards"], json.loads(by_numbers.stdout)["boards"]
    assert named["flash_bytes"] - numbered["flash_bytes"] == len("left" + "right") - len("0" + "1")


def test_a_name_with_markup_is_text(run, tmp_path):
    text = 'summary = "[bold]"\n[[classifier]]\nname = "out"\ntype = "fully-connected"\n'
    (tmp_path / HOSTILE).parent.mkdir()
    (tmp_path / HOSTILE).write_text(text, encoding="utf-8")
    done = run("fits", HOSTILE, "--board", "microbit")
    assert done.returncode == 0, done.stderr
    assert HOSTILE in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("lenet6",), 3, "lenet5"),
        (("lenet5", "--board", "micro"), 3, "microbit"),
        (("lenet5", "--size", "0"), 2, "is not a size"),
        (("lenet5", "--classes", "1"), 2, "1 is not in the range"),
        (("lenet5", "--toolchain", "zig"), 2, "has no effect without --build"),
        (("lenet5", "--size", "4"), 3, "does not fit"),
        (("missing.tflite",), 3, "missing.tflite"),
        (("missing.safetensors",), 3, "missing.safetensors"),
    ],
)
def test_messages(run, arguments, code, message):
    done = run("fits", *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert not done.stdout


def test_a_board_whose_compiler_is_missing(run, tmp_path):
    """Asked for by its name it is an error; among all of them it stays an estimate, and that is said."""
    done = run("fits", "lenet5-tiny", "--build", "--board", "microbit", code=_WITHOUT_TOOLS)
    assert done.returncode == 4, done.stderr
    done = run("fits", "lenet5-tiny", "--build", "--json", code=_WITHOUT_TOOLS)
    assert done.returncode == 0, done.stderr
    assert "microbit is estimated: " in done.stderr
    assert {board["toolchain"] for board in json.loads(done.stdout)["boards"]} == {""}


_WITHOUT_TOOLS = """
from lenet_edge.hardware import toolchain
from lenet_edge.errors import MissingToolError
def choose(board, name="auto"):
    raise MissingToolError("arm-none-eabi-gcc is not installed; apt-get install it")
toolchain.choose = choose
from lenet_edge.cli import main
main()
"""
