"""What the pipeline refuses before any work, what it takes for a change of data or code, and the commands it names."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
from pathlib import Path

import click
import idx_files
import numpy as np
import picture_files
import pytest

from lenet_edge import estimate
from lenet_edge.cli import cli, modules, pipeline_steps
from lenet_edge.cli.pipeline_order import Order
from lenet_edge.cli.pipeline_summary import Summary
from lenet_edge.engines import ENGINES
from lenet_edge.errors import BadInputError, CheckFailedError, MissingToolError
from lenet_edge.hardware import boards, session, toolchain
from lenet_edge.pipeline import data_digest, module_digest
from lenet_edge.preparation.request import PreparationRequest

HOSTILE = ("[red]", "six'quote", "fünf\u202e", "$(touch owned)")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """A folder of pictures; a compiler and an emulator, whether there are any or not."""
    monkeypatch.chdir(tmp_path)
    picture_files.write(tmp_path / "photos", classes=2, each=4)
    monkeypatch.setattr(toolchain, "choose", lambda board: board)
    monkeypatch.setattr(session, "choose_emulator", lambda board: "unicorn")


def order(*names: str, **changes: object) -> Order:
    chosen = tuple(boards.load(name) for name in names or ("microbit",))
    usual = Order(
        *("photos", chosen, "lenet5", modules.ModuleOptions(None, None, None), PreparationRequest()),
        *(False, None, None, 0, False, "speed", None, Path("build"), False),
    )
    return dataclasses.replace(usual, **changes)


@pytest.fixture
def installed(monkeypatch):
    """Runtimes, whether there are any or not."""
    found = {name: dataclasses.replace(engine, version=lambda: "1.0") for name, engine in ENGINES.items()}
    monkeypatch.setattr("lenet_edge.engines.ENGINES", found)
    return found


# --- before any work --------------------------------------------------------------------------------


def test_what_can_be_done_is_not_refused(installed):
    order().require_able()
    order("microbit", "longan-nano", network="dscnn").require_able()


def test_a_board_twice(installed):
    with pytest.raises(click.UsageError, match="--board microbit is given twice"):
        order("microbit", "microbit").require_able()


@pytest.mark.parametrize("out", ["photos", "photos/build", "photos/../photos/class 0/x"])
def test_results_do_not_become_data(installed, out):
    with pytest.raises(BadInputError, match="is inside the data set photos; choose another place with --out"):
        order(out=Path(out)).require_able()
    order(out=Path("photos2")).require_able()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": "nowhere"}, "There is no data set 'nowhere'"),
        ({"data": "noise"}, "noise has no labels"),
        ({"data": "photos/class 0"}, "has pictures, and no folders"),
        ({"data": "photos/class 0/0.png"}, "is a file"),
        ({"network": "lenet6"}, "lenet6"),
        ({"network": "nowhere.toml"}, "nowhere.toml"),
    ],
)
def test_data_and_networks_that_are_not_there(installed, changes, said):
    with pytest.raises(BadInputError, match=said):
        order(**changes).require_able()


@pytest.mark.parametrize("missing", ["pytorch", "tflm", "litert-reference"])
def test_a_runtime_without_which_no_check_passes(installed, missing):
    def absent():
        raise MissingToolError(f"{missing} is not installed")

    installed[missing] = dataclasses.replace(installed[missing], version=absent)
    with pytest.raises(MissingToolError, match=missing):
        order().require_able()


@pytest.mark.parametrize(("module", "name"), [(toolchain, "choose"), (session, "choose_emulator")])
def test_a_compiler_or_an_emulator_that_is_missing(installed, monkeypatch, module, name):
    def absent(board):
        raise MissingToolError(f"nothing for {board.name}")

    monkeypatch.setattr(module, name, absent)
    with pytest.raises(MissingToolError, match="nothing for microbit"):
        order().require_able()


@pytest.mark.parametrize(("size", "optimize"), [(48, "speed"), (48, "size"), (600, "speed")])
def test_a_network_that_is_far_too_big_is_refused_before_the_training(size, optimize):
    """LeNet-5 has 213,312 bytes of tables at 48 x 48 with 12 classes; at 600 x 600 more weights than are estimated."""
    asked = order("bluepill", optimize=optimize)
    with pytest.raises(CheckFailedError, match=r"too big for bluepill: about [\d,]+ bytes of flash, [\d,]+ more than"):
        pipeline_steps._require_room(asked, asked.described, (size, size, 1), [f"class {i}" for i in range(12)])
    small = order("bluepill", network="lenet5-tiny")
    pipeline_steps._require_room(small, small.described, (28, 28, 1), ["a", "b"])


@pytest.mark.parametrize(("share", "refused"), [(1.04, False), (1.06, True)])
def test_what_is_near_the_limit_is_built_to_know(monkeypatch, share, refused):
    asked = order()
    has = asked.boards[0].ram_budget_bytes
    found = estimate.Estimate(estimate.TOO_BIG, 1, int(share * has))
    monkeypatch.setattr(estimate, "estimate", lambda model, board, optimize: found)
    with pytest.raises(CheckFailedError, match="bytes of RAM") if refused else contextlib.nullcontext():
        pipeline_steps._require_room(asked, asked.described, (28, 28, 1), ["a", "b"])


# --- what is a change of data, or of code -------------------------------------------------------------


def test_of_arrays_the_bytes_count():
    arrays = idx_files.small_arrays(8, 4, 0)
    folder = idx_files.write_folder(Path("idx"), arrays)
    before = data_digest("idx")
    assert data_digest("idx/../idx") == before
    (folder / "classes.txt").write_text("\n".join(map(str, range(10))))
    assert data_digest("idx") != before
    np.savez("x.npz", x_train=arrays[0], y_train=arrays[1], x_test=arrays[2], y_test=arrays[3])
    first = data_digest("x.npz")
    np.savez("x.npz", x_train=arrays[0] ^ 1, y_train=arrays[1], x_test=arrays[2], y_test=arrays[3])
    assert data_digest("x.npz") != first


def test_a_picture_that_cannot_be_read_is_data_too():
    before = data_digest("photos")
    Path("photos/class 0/9.png").write_bytes(b"")
    assert data_digest("photos") != before


def test_a_link_out_of_the_folder_is_not_followed():
    before = data_digest("photos")
    Path("secret.png").write_bytes(b"1")
    Path("photos/class 0/link.png").symlink_to(Path("secret.png").resolve())
    assert data_digest("photos") == before


@pytest.mark.parametrize(
    ("text", "beside"),
    [
        ("import layers", "layers.py"),
        ("from layers import Block", "layers.py"),
        ("def f():\n    from parts.blocks import Block", "parts/blocks.py"),
        ("from parts import blocks", "parts/blocks.py"),
        ("import parts.blocks as b", "parts/__init__.py"),
    ],
)
def test_of_a_module_what_it_imports_from_beside_it_counts(text, beside):
    for path in ("layers.py", "parts/__init__.py", "parts/blocks.py", "other.py"):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text("import torch\n")
    Path("my_net.py").write_text(text)
    before = module_digest("my_net.py:Net")
    Path("other.py").write_text("changed")
    assert module_digest("my_net.py:Net") == before
    Path(beside).write_text("changed = 1\n")
    changed = module_digest("my_net.py:Net")
    assert changed != before
    Path("my_net.py").write_text(f"{text}\n")
    assert module_digest("my_net.py:Net") != changed


@pytest.mark.parametrize("beside", ["nets/__init__.py", "nets/net.py", "nets/blocks.py", "common.py"])
def test_of_a_package_s_module_too(beside):
    Path("nets").mkdir()
    Path("nets/__init__.py").write_text("from nets.net import Net")
    Path("nets/net.py").write_text("from .blocks import Block\nfrom . import missing\nimport common")
    Path("nets/blocks.py").write_text("")
    Path("common.py").write_text("")
    before = module_digest("nets:Net")
    assert module_digest("nets.net:Net") != before
    Path(beside).write_text(Path(beside).read_text() + "\n")
    assert module_digest("nets:Net") != before


def test_of_an_installed_module_its_file_counts():
    assert module_digest("json.decoder:JSONDecoder") != module_digest("json.encoder:JSONEncoder")
    with pytest.raises(BadInputError, match="nowhere"):
        module_digest("nowhere.net:Net")


def test_modules_that_import_each_other_end():
    Path("a.py").write_text("import b")
    Path("b.py").write_text("import a, c")
    Path("c.py").write_text("")
    before = module_digest("a.py:Net")
    Path("c.py").write_text("changed = 1")
    assert module_digest("a.py:Net") != before


# --- the commands that it names -----------------------------------------------------------------------


def parsed(line: str) -> dict[str, object]:
    """The parameters of a printed command line, as click reads it."""
    program, name, *rest = shlex.split(line)
    assert program == "lenet-edge"
    return cli.commands[name].make_context(name, rest).params


@pytest.mark.parametrize("folder", ["photos", *HOSTILE])
@pytest.mark.parametrize("out", ["build", "an other/place"])
def test_the_commands_can_be_typed_and_say_the_same(folder, out):
    asked = order(
        *("microbit", "longan-nano"),
        data=folder,
        out=Path(out),
        seed=7,
        epochs=3,
        quantize_epochs=2,
        max_drop=0.5,
        optimize="size",
        class_weights=True,
        request=PreparationRequest(24, 32, 3, "square"),
    )
    summary = Summary(asked, [])
    found = [(shlex.split(line)[1], parsed(line)) for line in (*summary.by_hand(), *summary.next())]
    names = [name for name, _ in found]
    done = ["train", "quantize", "build", "build", "export", "export", "export", "check"]
    assert names == [*done, "check", "run", "flash", "run", "flash"]
    train, quantize, build = (params for name, params in found[:3])
    assert (train["data"], train["epochs"], train["seed"], train["class_weights"]) == (folder, 3, 7, True)
    assert (train["size"], train["colour"], train["crop"]) == ((32, 24), True, "square")
    assert train["out"] == quantize["model"] == Path(out) / "lenet5.safetensors"
    assert (quantize["epochs"], quantize["seed"], quantize["out"]) == (2, 7, Path(out) / "lenet5-int8.tflite")
    assert (build["optimize"], build["out"]) == ("size", Path(out) / "firmware" / "microbit")
    check = found[7][1]
    assert check["max_drop"] == 0.5
    assert [board.name for board in check["boards"]] == ["microbit", "longan-nano"]
    assert (check["exports"], check["out"] or Path("build/check.json")) == (Path(out), Path(out) / "check.json")
    for name, params in found[9:]:
        assert params["firmware_folder"] == Path(out) / "firmware" / params["board"].name, name
        assert name == "run" or (params["records"] or (Path("build/check.json"),)) == (Path(out) / "check.json",)


def test_a_module_s_options_are_in_the_command():
    Path("my_net.py").write_text("")
    options = modules.ModuleOptions(Path("w.pt"), (0.5, 0.25, 0.125), (0.5,))
    asked = order(network="my_net.py:Net", module=options, epochs=0)
    train = parsed(Summary(asked, []).by_hand()[0])
    assert (train["network"], train["weights"], train["mean"], train["std"]) == (
        *("my_net.py:Net", Path("w.pt"), options.mean, options.std),
    )
    assert asked.model == Path("build/my_net-Net-int8.tflite")


# --- recipes ----------------------------------------------------------------------------------------


def test_a_recipe_is_the_networks_and_in_the_command():
    asked = order(network="lenet5", recipe="clothes", data="fashion-mnist")
    assert asked.described.recipe.mirror
    train = parsed(Summary(asked, []).by_hand()[0])
    assert (train["network"].name, train["recipe"]) == ("lenet5", "clothes")
    with pytest.raises(BadInputError, match=r"Did you mean 'clothes'"):
        _ = order(recipe="cloths").described
    with pytest.raises(click.UsageError, match="a PyTorch module has no recipes"):
        _ = order(network="my_net.py:Net", recipe="clothes").described


def test_a_recipe_or_a_teacher_that_changes_is_a_change(tmp_path):
    teacher, pupil = tmp_path / "teacher.toml", tmp_path / "pupil.toml"
    text = 'summary = "x"\n[recipe]\nepochs = 3\n[[classifier]]\nname = "OUTPUT"\ntype = "fully-connected"\n'
    teacher.write_text(text)
    pupil.write_text(text.replace("[[", f'[recipes.taught]\nteacher = "{teacher}"\n[[', 1))

    def digest(recipe):
        return pipeline_steps._train_inputs(order(network=str(pupil), recipe=recipe))["network"]

    own, taught = digest(None), digest("taught")
    assert own != taught
    teacher.write_text(text.replace("epochs = 3", "epochs = 4"))
    assert digest("taught") != taught
    assert digest(None) == own
