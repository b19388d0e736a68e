"""Which steps of the pipeline are done again, and why: with steps that write their files without doing the work."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from types import SimpleNamespace

import check_records
import picture_files
import pytest

from lenet_edge import parity, records
from lenet_edge.cli import modules, pipeline_steps
from lenet_edge.cli.pipeline_order import Order
from lenet_edge.errors import BadInputError, CheckFailedError, LinkError, MissingToolError, ToolFailedError
from lenet_edge.hardware import boards, toolchain
from lenet_edge.pipeline import Outcome, run_steps
from lenet_edge.preparation.request import PreparationRequest
from lenet_edge.records.check import parse_check

FINGERPRINT = "1" * 64
ALL = ["train", "quantize", "build microbit", "export", "check", "check microbit"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """A folder of pictures; a compiler and engines, whether there are any or not."""
    monkeypatch.chdir(tmp_path)
    picture_files.write(tmp_path / "photos", classes=3, each=4)
    monkeypatch.setattr(toolchain, "choose", lambda board: board)
    monkeypatch.setattr(toolchain, "version", lambda board: f"gcc for {board.name} 1.0")
    monkeypatch.setattr(pipeline_steps, "_version", lambda engine: "1.0")


def order(*names: str, **changes: object) -> Order:
    request = PreparationRequest(None, None, None, None)
    chosen = tuple(boards.load(name) for name in names or ("microbit",))
    usual = Order(
        *("photos", chosen, "lenet5", modules.ModuleOptions(None, None, None), request),
        *(False, None, None, 0, False, "speed", None, Path("build"), False),
    )
    return dataclasses.replace(usual, **changes)


def with_fakes(asked: Order, **broken: object):
    """The steps with their real inputs and outputs, and work that writes what depends on these inputs alone."""

    def written(step, kind, name):
        inputs = json.dumps(dict(step.inputs()), sort_keys=True)
        if kind == "train":
            asked.float_model.parent.mkdir(exist_ok=True)
            asked.float_model.write_text(inputs)
        elif kind == "quantize":
            for path in (asked.model, asked.model.with_suffix(".json"), asked.model.with_suffix(".qat.safetensors")):
                path.write_text(inputs)
        elif kind == "build":
            sizes = records.Sizes(*[1] * 6)
            built = records.BuildRecord(name, FINGERPRINT, "gcc", "speed", "plain", "2" * 64, sizes, {})
            records.write_build(asked.out / "firmware" / name, {"firmware.elf": inputs.encode()}, built)
        elif kind == "export":
            for target in pipeline_steps.TARGETS:
                records.write_artefact(asked.out / target, {"file": inputs.encode()}, FINGERPRINT, target=target)
        elif not name:
            records.write_check(asked.check_record, host_record())
        else:
            records.write_check(
                asked.check_record, parity.with_board(records.read_check(asked.check_record), *board_ran(name))
            )

    def work(step):
        kind, _, name = step.name.partition(" ")
        return lambda: broken[step.name]() if step.name in broken else written(step, kind, name)

    return [dataclasses.replace(step, work=work(step)) for step in pipeline_steps.steps(asked)]


def host_record():
    content = check_records.record(FINGERPRINT)
    engines = [engine for engine in content["engines"] if not engine["name"].startswith("board:")]
    return parse_check(content | {"engines": engines, "firmware": {}})


def board_ran(name: str, **figures: int):
    """What a board's engine gave, as `parity.check` returns it, and the hash of what ran."""
    reference = parity.EngineResult("reference", None, "ran", 10_000, 0.99, 0, 0, 0, 0, 1.0)
    same = dict.fromkeys(("logits_differ", "images_differ", "argmax_differ", "max_abs_difference"), 0)
    ran = parity.EngineResult(f"board:{name}/unicorn", "2", "ran", 10_000, 0.99, **{**same, **figures}, seconds=1.0)
    return parity.Check(FINGERPRINT, 10_000, 0.99, None, (reference, ran)), {name: "3" * 64}


def done(asked: Order, **broken: object) -> list[str]:
    """The steps that a run does."""
    outcomes: list[Outcome] = []
    run_steps(
        with_fakes(asked, **broken),
        asked.out / "pipeline.json",
        again=asked.again,
        say=lambda _: None,
        done=outcomes.append,
    )
    return [outcome.name for outcome in outcomes if outcome.why]


def why(asked: Order) -> dict[str, str]:
    outcomes: list[Outcome] = []
    run_steps(with_fakes(asked), asked.out / "pipeline.json", say=lambda _: None, done=outcomes.append)
    return {outcome.name: outcome.why for outcome in outcomes if outcome.why}


# --- what is done again -----------------------------------------------------------------------------


def test_nothing_is_done_twice():
    assert done(order()) == ALL
    assert done(order()) == []


def test_force_does_all_again():
    done(order())
    assert done(order(again=True)) == ALL
    assert done(order()) == []


def test_a_picture_that_changed_is_behind_all_of_it():
    done(order())
    picture_files.picture(Path("photos/class 1/2.png"), seed=99)
    assert why(order())["train"] == "changed: data"
    picture_files.picture(Path("photos/class 1/3.png"), seed=98)
    assert done(order()) == ALL


@pytest.mark.parametrize(
    "change",
    [
        lambda: Path("photos/class 0/#0.png").rename("photos/class 1/7.png"),
        lambda: Path("photos/class 0/+.png").rename("photos/class 1/+.png"),  # the first of the next class
        lambda: Path("photos/class 0").rename("photos/[red]"),
        lambda: Path("photos/class 0/#0.png").unlink(),
    ],
    ids=["moved and renamed", "moved to another class", "class renamed", "removed"],
)
def test_names_are_data_too(change):
    for number in range(4):
        Path(f"photos/class 0/{number}.png").rename(f"photos/class 0/#{number}.png")
    Path("photos/class 0/#3.png").rename("photos/class 0/+.png")
    done(order())
    change()
    assert done(order()) == ALL


def test_what_is_no_picture_is_no_data():
    done(order())
    Path("photos/notes.txt").write_text("about the pictures")
    os.utime("photos/class 0/0.png", (1, 1))
    assert done(order()) == []


def test_another_board_is_built_and_checked_and_the_first_is_kept():
    done(order())
    assert done(order("bluepill")) == ["build bluepill", "check bluepill"]
    assert done(order("microbit", "bluepill")) == []
    record = records.read_check(Path("build/check.json"))
    assert record.passed
    assert set(record.firmware) == {"microbit", "bluepill"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"epochs": 3}, ALL),
        ({"seed": 1}, ALL),
        ({"class_weights": True}, ALL),
        ({"transpose": True}, ALL),
        ({"request": PreparationRequest(16, 16, None, None)}, ALL),
        ({"quantize_epochs": 1}, ALL[1:]),
        ({"optimize": "size"}, ["build microbit", "check microbit"]),
        ({"max_drop": 1.0}, ["check", "check microbit"]),
    ],
)
def test_an_option_changes_what_it_is_for(changes, expected):
    done(order())
    assert done(order(**changes)) == expected


def test_another_network_has_files_of_its_own():
    done(order())
    assert done(order(network="dscnn")) == ALL
    assert Path("build/lenet5.safetensors").exists()
    assert Path("build/dscnn-int8.tflite").exists()


def test_another_compiler_builds_again(monkeypatch):
    done(order())
    monkeypatch.setattr(toolchain, "version", lambda board: "gcc 2.0")
    assert done(order()) == ["build microbit", "check microbit"]


def test_another_version_of_lenet_edge_does_all_again(monkeypatch):
    done(order())
    monkeypatch.setattr(pipeline_steps, "own_digest", lambda: "later")
    assert done(order()) == ALL


@pytest.mark.parametrize(
    ("artefact", "expected"), [("onnx", ["check", "check microbit"]), ("firmware/microbit", ["check microbit"])]
)
def test_another_runtime_or_emulator_checks_again(monkeypatch, artefact, expected):
    done(order())
    monkeypatch.setattr(pipeline_steps, "_version", lambda engine: "2.0" if engine.artefact == artefact else "1.0")
    assert done(order()) == expected


def test_other_weights_to_take_over_are_trained_again():
    Path("w.pt").write_bytes(b"1")
    asked = order(module=modules.ModuleOptions(Path("w.pt"), None, None))
    done(asked)
    Path("w.pt").write_bytes(b"2")
    assert why(asked)["train"] == "changed: --weights"


def test_another_port_builds_again(monkeypatch, tmp_path):
    port = tmp_path / "port"
    port.mkdir()
    (port / "port.c").write_text("int a;")
    monkeypatch.setattr(boards.Board, "port_folder", property(lambda _: port))
    done(order())
    (port / "port.c").write_text("int b;")
    assert done(order()) == ["build microbit", "check microbit"]


def test_engines_check_again_what_they_run():
    """Other exported files, other weights of the quantisation, although the int8 model is the same."""
    done(order())
    for name, path in (("export", Path("build/onnx/file")), ("quantize", Path("build/lenet5-int8.qat.safetensors"))):
        path.unlink()
        assert done(order(), **{name: lambda name=name: differently(name)}) == [name, "check", "check microbit"]


def differently(name: str) -> None:
    if name == "export":
        records.write_artefact(Path("build/onnx"), {"file": b"other"}, FINGERPRINT, target="onnx")
    else:
        Path("build/lenet5-int8.qat.safetensors").write_text("other")


# --- what was left is not as it was -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lenet5.safetensors", ["train"]),  # the same comes of it, so the others stay
        ("lenet5-int8.tflite", ["quantize"]),
        ("lenet5-int8.json", ["quantize"]),
        ("firmware/microbit/firmware.elf", ["build microbit"]),
        ("firmware/microbit/manifest.json", ["build microbit"]),
        ("onnx/file", ["export"]),
        ("check.json", ["check", "check microbit"]),
    ],
)
@pytest.mark.parametrize("harm", ["edit", "delete"])
def test_an_output_that_was_touched_is_made_again(name, expected, harm):
    done(order())
    path = Path("build") / name
    before = path.read_bytes()
    if harm == "edit":
        path.write_bytes(before.replace(b"1", b"2"))
        assert path.read_bytes() != before
    else:
        path.unlink()
    reasons = why(order())
    assert list(reasons) == expected
    if harm == "delete":
        assert reasons[expected[0]].startswith("missing: ")
    assert path.read_bytes() == before
    assert done(order()) == []


def test_the_figure_of_a_board_that_was_edited_is_measured_again():
    done(order())
    content = json.loads(Path("build/check.json").read_text())
    content["engines"][-1]["seconds"] = 0.5
    Path("build/check.json").write_text(json.dumps(content))
    assert done(order()) == ["check microbit"]


@pytest.mark.parametrize("content", ["", "{", '{"format": 9, "steps": []}', '{"format": 1, "steps": [1]}'])
def test_a_record_that_cannot_be_used_is_none(content):
    done(order())
    Path("build/pipeline.json").write_text(content)
    assert done(order()) == ALL
    assert done(order()) == []


# --- steps that fail --------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [BadInputError, CheckFailedError, ToolFailedError, LinkError])
@pytest.mark.parametrize("number", range(len(ALL)))
def test_a_step_that_fails_is_named_and_ends_it_and_the_rest_is_done_later(error, number):
    name = ALL[number]

    def fail():
        raise error("the reason")

    with pytest.raises(error, match=f"^{name}: the reason$"):
        done(order(), **{name: fail})
    assert done(order()) == ALL[number:]


def test_an_interrupt_is_no_failure_and_loses_nothing():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        done(order(), quantize=interrupt)
    assert done(order()) == ALL[1:]


def test_a_board_that_differs_is_in_the_record_and_the_next_board_is_not_judged_by_it():
    def differ():
        found, firmware = board_ran("microbit", logits_differ=2, images_differ=1, max_abs_difference=3)
        record = parity.with_board(records.read_check(Path("build/check.json")), found, firmware)
        pipeline_steps._leave(order(), record)

    with pytest.raises(CheckFailedError, match="check microbit: board:microbit/unicorn: 2 logits differ"):
        done(order(), **{"check microbit": differ})
    assert not records.read_check(Path("build/check.json")).passed
    assert done(order("bluepill")) == ["build bluepill", "check", "check bluepill"]
    assert records.read_check(Path("build/check.json")).passed


def test_a_board_whose_emulator_went_missing_is_not_checked():
    absent = parity.EngineResult("board:microbit/unicorn", None, "absent", message="pip install unicorn")
    found = dataclasses.replace(board_ran("microbit")[0], engines=(absent,))
    model = SimpleNamespace(layers=())
    asked = SimpleNamespace(subject=SimpleNamespace(run=lambda engines, boards: (found, {}), model=model))
    with pytest.raises(MissingToolError, match="board:microbit/unicorn did not run: pip install unicorn"):
        pipeline_steps._check_board(asked, boards.load("microbit"))


# --- the policy of a small test set -----------------------------------------------------------------


def test_a_policy_asks_for_all_of_a_small_test_set_and_for_no_less_than_the_board_else():
    asked = order()
    done(asked)
    few = {"images": 300, "data_images": 300, "int8_accuracy": 0.99, "float_accuracy": 0.99, "drop_points": 0.0}
    content = check_records.record(FINGERPRINT, images=300) | few
    content["engines"] = [{**engine, "images": 300} for engine in content["engines"]]
    records.write_check(asked.check_record, parse_check(content))
    pipeline_steps.leave_policies(asked)
    found, usual = boards.read_policy(Path("build/policies/microbit.toml")), asked.boards[0].policy
    assert (found.images, found.board_images, found.data) == (300, 300, content["data_sha256"])
    assert (found.engines, found.float_comparison) == (usual.engines, usual.float_comparison)
    assert found.max_drop_points == usual.max_drop_points
    unlike = dataclasses.replace(asked.boards[0], policy=dataclasses.replace(usual, like="tflm"))
    pipeline_steps.leave_policies(order(boards=(unlike,)))  # asks for a check of another kind
    assert not Path("build/policies/microbit.toml").exists()


def test_a_test_set_that_is_large_enough_needs_none():
    asked = order()
    done(asked)
    pipeline_steps.leave_policies(asked)
    assert not Path("build/policies").exists()
