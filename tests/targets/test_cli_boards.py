"""The commands for boards: what their JSON has, what `check` calls a board, and what a wrong name is told."""

from __future__ import annotations

import json

import pytest
import workbench
from workbench import LENET5, refused

from lenet_edge.formats import c_source
from lenet_edge.hardware import boards

NOWHERE = {"PATH": "/nowhere"}


@pytest.fixture
def data(cli):
    return workbench.data_folder(cli.folder / "data", 30, seed=2)


def result(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_boards(cli):
    found = result(cli("boards", "--json"))["boards"]
    assert [board["name"] for board in found] == list(boards.board_names())
    shown = cli("boards")
    assert all(name in shown.stdout for name in boards.board_names())


def test_doctor(cli):
    found = result(cli("doctor", "--json"))
    assert sorted(found) == ["boards", "found"]
    for entry in found["found"]:
        assert sorted(entry) == ["install", "kind", "name", "version"]
        assert (entry["version"] is None) != (entry["install"] is None)
    assert [board["name"] for board in found["boards"]] == list(boards.board_names())
    lacking = {
        entry["name"]: entry["install"] for entry in result(cli("doctor", "--json", environment=NOWHERE))["found"]
    }
    assert lacking["arm-none-eabi-gcc"] == "apt-get install gcc-arm-none-eabi"
    assert lacking["qemu-system-riscv32"] == "apt-get install qemu-system-misc"
    assert "apt-get install gcc-avr avr-libc" in cli("doctor", environment=NOWHERE).stdout


def test_build(cli):
    workbench.need("mps2-an386", "gcc")
    found = result(cli("build", "--board", "mps2-an386", "--model", cli.model, "--toolchain", "gcc", "--json"))
    assert sorted(found) == [
        *("beyond_weights_bytes", "board", "budget", "fingerprint", "flash_bytes", "folder", "kernels", "like"),
        *(
            "optimize",
            "packing",
            "ram_bytes",
            "sizes",
            "stack_depth_bytes",
            "stack_inference_bytes",
            "stack_path",
            "stack_problem",
            "toolchain",
            "why_packed",
        ),
    ]
    assert (found["kernels"], found["optimize"]) == ("cortex_m_dsp", "speed")
    assert sorted(found["sizes"]) == ["buffers", "code", "input_image", "stack", "tables", "weights"]
    assert (found["board"], found["fingerprint"]) == ("mps2-an386", LENET5.fingerprint)
    assert found["flash_bytes"] == found["sizes"]["code"] + found["sizes"]["tables"]
    assert found["ram_bytes"] == found["sizes"]["buffers"] + found["sizes"]["stack"]
    assert found["beyond_weights_bytes"] == found["flash_bytes"] - 62_414
    assert found["folder"] == "build/firmware/mps2-an386"
    assert (cli.folder / found["folder"] / "firmware.hex").exists()
    shown = cli("build", "--board", "mps2-an386", "--model", cli.model).stdout
    assert all(
        words in shown
        for words in ("weights and biases", "62,414", "stack", "built for speed (cortex_m_dsp kernels) with")
    )


def test_run(cli, build, data):
    workbench.need("mps2-an386", "gcc", "unicorn")
    arguments = ("run", "--board", "mps2-an386", "--model", cli.model, "--data", data, "--images", 3)
    arguments += ("--firmware", build("mps2-an386").folder, "--emulator", "unicorn")
    found = result(cli(*arguments, "--json"))
    assert sorted(found) == [
        *(
            "banner",
            "board",
            "clock_hz",
            "emulator",
            "fingerprint",
            "frame",
            "images",
            "logits_differ",
            "notes",
            "ram_bytes",
        ),
        *("stack_problem", "stack_proved_bytes", "stack_used_bytes", "warnings"),
    ]
    assert (found["emulator"], found["logits_differ"], found["clock_hz"]) == ("unicorn", 0, 25_000_000)
    assert found["banner"].startswith("lenet-edge ")
    assert [sorted(image) for image in found["images"]] == [
        ["class", "file", "image", "label", "logits", "probability"]
    ] * 3
    shown = cli(*arguments).stdout
    proved, used = found["stack_proved_bytes"], found["stack_used_bytes"]
    assert f"stack: {proved} bytes proved, {used} measured" in shown
    assert "0 logits differ from the reference" in shown
    assert "self-test passed" in shown


def test_run_says_so_when_a_logit_differs(cli, build, data):
    """The chip is right, and our reference is made wrong."""
    workbench.need("mps2-an386", "gcc", "unicorn")
    code = "import lenet_edge.quantized.reference as e; right = e.run\n"
    code += "e.run = lambda model, images: right(model, images) ^ 1\nfrom lenet_edge.cli import main; main()"
    arguments = ("run", "--board", "mps2-an386", "--model", cli.model, "--data", data, "--images", 3)
    done = cli(*arguments, "--firmware", build("mps2-an386").folder, "--json", first=("-c", code))
    assert done.returncode == 1
    assert "30 logits differ from the reference" in done.stderr
    assert json.loads(done.stdout)["logits_differ"] == 30


@pytest.mark.parametrize(
    ("board", "emulator", "unit"),
    [
        ("mps2-an386", "unicorn", "instructions"),
        ("mps2-an386", "qemu", "instructions"),
        ("atmega2560", "simavr", "cycles"),
    ],
)
def test_bench(cli, build, data, board, emulator, unit):
    workbench.need(board, "gcc", emulator)
    arguments = ("bench", "--board", board, "--model", cli.model, "--data", data, "--images", 3, "--emulator", emulator)
    found = result(cli(*arguments, "--firmware", build(board).folder, "--json"))
    assert set(found) >= {
        *("board", "emulator", "fingerprint", "flash_bytes", "images", "layers", "mean", "ram_bytes"),
        *("stack_proved_bytes", "stack_used_bytes", "toolchain", "total", "unit"),
    }
    assert (found["board"], found["emulator"], found["unit"], found["images"]) == (board, emulator, unit, 3)
    steps = c_source.facts(c_source.make_plan(LENET5))["steps"]
    assert [layer["name"] for layer in found["layers"]] == ["+".join(step["layers"]) for step in steps]
    assert sum(layer["macs"] for layer in found["layers"]) == 416_520
    assert found["mean"] <= found["total"]
    assert sum(layer["count"] for layer in found["layers"]) == pytest.approx(found["total"], rel=0.01)


def test_budget_of_what_the_other_commands_left(cli, data):
    """check, bench, budget as in a pipeline: the records are where it looks for them; then one is made too small."""
    workbench.need("mps2-an386", "gcc", "unicorn")
    common = ("--board", "mps2-an386", "--model", cli.model, "--data", data)
    toml = cli.folder / "lenet-edge.toml"
    toml.write_text("[board.mps2-an386]\nflash_bytes = 100_000\nram_bytes = 8_000\ninstructions = 400_000\n")
    refused(cli("budget"), 3, "build/check.json", "lenet-edge check")
    assert cli("check", *common, "--engine", "tflm", "--engine", "litert-reference").returncode == 0
    counted = result(cli("bench", *common, "--images", 3, "--json"))
    found = result(cli("budget", "--json"))
    values = {line["name"]: line["value"] for line in found["measures"] if line["of"] == "mps2-an386"}
    built = result(cli("build", *common[:4], "--json"))
    assert values == {
        "flash_bytes": built["flash_bytes"],
        "ram_bytes": built["ram_bytes"],
        "instructions": counted["total"],
    }
    toml.write_text(toml.read_text().replace("400_000", str(counted["total"] - 1)))
    done = cli("budget", "--base", "build/budget.json", "--markdown")
    assert done.returncode == 1
    assert "| 0 |" in done.stdout
    assert "instructions" in done.stderr


@pytest.mark.parametrize("emulator", ["unicorn", "qemu"])
def test_check_has_the_board_as_an_engine(cli, data, emulator):
    workbench.need("mps2-an386", None, emulator)
    arguments = ("check", "--board", "mps2-an386", "--emulator", emulator, "--engine", "tflm")
    arguments += ("--engine", "litert-reference", "--model", cli.model, "--data", data, "--images", 20, "--json")
    found = result(cli(*arguments))
    (board,) = (engine for engine in found["engines"] if engine["name"].startswith("board:"))
    assert board["name"] == f"board:mps2-an386/{emulator}"
    assert (board["status"], board["logits_differ"], found["images"]) == ("ran", 0, 20)
    assert board["version"]
    assert found["passed"] is True


def test_check_of_another_model_builds_anew(cli, build, data):
    """The firmware of an earlier model lies there."""
    workbench.need("mps2-an386", "gcc", "unicorn")
    assert cli("build", "--board", "mps2-an386", "--model", cli.model).returncode == 0
    from lenet_edge.formats import tflite

    cli.model.write_bytes(tflite.to_bytes(workbench.OTHER))
    arguments = ("check", "--board", "mps2-an386", "--engine", "host_c", "--model", cli.model, "--data", data)
    done = cli(*arguments, "--images", 5, "--json")
    (board,) = (each for each in json.loads(done.stdout)["engines"] if each["name"].startswith("board:"))
    assert (board["status"], board["logits_differ"]) == ("ran", 0)


def test_check_without_an_emulator(cli, data):
    """Absent, which passes; and a failure where everything was required."""
    workbench.need("mps3-an547")
    arguments = ("check", "--board", "mps3-an547", "--engine", "tflm", "--engine")
    arguments += ("litert-reference", "--model", cli.model, "--data", data, "--images", 5, "--json")
    done = cli(*arguments, environment=NOWHERE)
    found = result(done)
    (board,) = (engine for engine in found["engines"] if engine["name"].startswith("board:"))
    assert board["name"].startswith("board:mps3-an547/")
    assert board["status"] == "absent"
    assert "apt-get install qemu-system-arm" in board["message"]
    done = cli(*arguments, "--require-all", environment=NOWHERE)
    assert done.returncode == 1
    assert "board:mps3-an547" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["build", "run", "bench", "check"])
def test_an_unknown_board(cli, command):
    done = cli(command, "--board", "microbyte", "--model", cli.model)
    refused(done, 3, "there is no board 'microbyte'. Did you mean 'microbit'?", "`lenet-edge boards` lists them")


def test_an_emulator_that_does_not_have_the_board(cli, build, data):
    arguments = ("run", "--board", "mps3-an547", "--model", cli.model, "--data", data, "--emulator", "unicorn")
    done = cli(*arguments, "--firmware", build("mps3-an547").folder)
    refused(done, 3, "unicorn does not run mps3-an547; qemu would")
