"""`lenet-edge budget`: the file of budgets, the records, the verdict, and the forms that it is shown in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import check_records
import pytest
from click.testing import CliRunner

from lenet_edge import budget, errors
from lenet_edge.cli import cli

ONE, OTHER = "1" * 64, "2" * 64
BUDGETS = """
[model]
accuracy = 0.99
drop_points = 0.1

[board.microbit]
flash_bytes = 70_000
ram_bytes = 4_000
instructions = 3_100_000

[board.atmega2560]
cycles = 20_000_000
"""
CHECK = {
    **check_records.record(ONE),
    "float_accuracy": 0.9956,
    "int8_accuracy": 0.9958,
    "confusion": check_records.confusion(10_000, 9_958),
    "drop_points": -0.02,
    "engines": [
        *(check_records.engine(name, accuracy=0.9958) for name in ("reference", "tflm", "litert-reference")),
        check_records.absent("tf-lite"),
    ],
}
SIZES = {"code": 4_300, "tables": 63_400, "weights": 62_414, "buffers": 2_700, "stack": 1_024, "input_image": 784}
GCC = "arm-none-eabi-gcc 12.2.1"


def check(int8_accuracy: float | None) -> dict[str, object]:
    """A check in which int8 had another accuracy, and there is nothing to compare it with."""
    engines = [{**engine, "accuracy": int8_accuracy} for engine in CHECK["engines"][:3]]
    nothing = dict.fromkeys(("float_accuracy", "float_sha256", "drop_points", "drop_interval", "mcnemar_p"))
    matrix = None if int8_accuracy is None else check_records.confusion(10_000, round(10_000 * int8_accuracy))
    return {**CHECK, "engines": engines, "int8_accuracy": int8_accuracy, "confusion": matrix, **nothing}


def manifest(board: str, **changes: object) -> dict[str, object]:
    words = {"toolchain": GCC, "optimize": "speed", "family": "plain", "image_sha256": "3" * 64, "lenet_edge": "0.1.0"}
    return {"board": board, "fingerprint": ONE, **words, "sizes": SIZES, "files": {}, **changes}


def bench(board: str, unit: str, total: int, **changes: object) -> dict[str, object]:
    layer = {"macs": 100, "kernel": "plain", "why_plain": ""}
    layers = [{"name": "C1+S2", "count": total // 2, **layer}, {"name": "C3", "count": total // 4, **layer}]
    words = {"board": board, "emulator": "unicorn", "fingerprint": ONE, "toolchain": GCC, "optimize": "speed"}
    sizes = {"flash_bytes": 67_700, "ram_bytes": 1_976, "stack_used_bytes": 376, "image_sha256": "3" * 64}
    counts = {"images": 8, "unit": unit, "total": total, "mean": total - 1, "layers": layers}
    return {"format": 1, **words, **sizes, **counts, **changes}


class Project:
    """A folder with budgets and records, and the command in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "lenet-edge.toml").write_text(BUDGETS)
        self.write("build/check.json", CHECK)
        self.write("build/firmware/microbit/manifest.json", manifest("microbit"))
        self.write("build/bench/microbit.json", bench("microbit", "instructions", 3_046_895))
        self.write("build/bench/atmega2560.json", bench("atmega2560", "cycles", 19_237_683))

    def write(self, name: str, content: object) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    def __call__(self, *arguments: str):
        return CliRunner().invoke(cli, ["budget", *arguments])

    def json(self, *arguments: str) -> dict:
        done = self(*arguments, "--json")
        found: dict = json.loads(done.stdout)
        assert found == json.loads((self.folder / "build/budget.json").read_text())
        assert found["passed"] == (done.exception is None)
        return found

    def refused(self, *arguments: str) -> str:
        done = self(*arguments)
        assert isinstance(done.exception, errors.BadInputError), (done.exception, done.output)
        assert done.stdout == ""
        return str(done.exception)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def measured(found: dict) -> dict[tuple[str, str], dict]:
    return {(line["of"], line["name"]): line for line in found["measures"]}


# --- the verdict ------------------------------------------------------------------------------------


def test_within_every_budget(project):
    found = project.json()
    assert found["passed"]
    values = {key: line["value"] for key, line in measured(found).items()}
    assert values == {
        ("model", "accuracy"): 0.9958,
        ("model", "drop_points"): -0.02,
        ("model", "logits_differ"): 0,
        ("microbit", "flash_bytes"): 67_700,
        ("microbit", "ram_bytes"): 3_724,
        ("microbit", "instructions"): 3_046_895,
        ("atmega2560", "cycles"): 19_237_683,
    }
    assert all(line["within"] and line["base"] is None for line in found["measures"])


@pytest.mark.parametrize(
    ("key", "exact", "over"),
    [
        ("accuracy", "0.9958", "0.9959"),
        ("drop_points", "-0.02", "-0.03"),
        ("flash_bytes", "67_700", "67_699"),
        ("ram_bytes", "3_724", "3_723"),
        ("instructions", "3_046_895", "3_046_894"),
        ("cycles", "19_237_683", "19_237_682"),
    ],
)
def test_a_budget_holds_to_the_last_unit(project, key, exact, over):
    for value, passes in ((exact, True), (over, False)):
        project.write("lenet-edge.toml", re.sub(rf"^{key} = .*$", f"{key} = {value}", BUDGETS, flags=re.MULTILINE))
        found = project.json()
        assert found["passed"] == passes
        assert [line["name"] for line in found["measures"] if not line["within"]] == ([] if passes else [key])
    done = project()
    assert isinstance(done.exception, errors.CheckFailedError)
    assert done.exception.exit_code == 1
    assert len(found["problems"]) == 1


def test_logits_that_differ_are_over_budget_whatever_the_file_says(project):
    project.write("lenet-edge.toml", "[board.atmega2560]\ncycles = 20_000_000\n")
    counts = {"tflm": 3, "litert-reference": 4}
    figures = {"images_differ": 2, "argmax_differ": 1, "max_abs_difference": 1, "accuracy": 0.9957}
    engines = [check_records.engine(name, logits_differ=count, **figures) for name, count in counts.items()]
    failed = {"passed": False, "problems": ["tflm: 3 logits differ"]}
    project.write("build/check.json", {**CHECK, **failed, "engines": [CHECK["engines"][0], *engines]})
    line = measured(project.json())["model", "logits_differ"]
    assert (line["value"], line["budget"], line["within"]) == (7, 0, False)


def test_a_check_that_did_not_pass_is_no_ground_for_a_verdict(project):
    project.write("build/check.json", {**CHECK, "passed": False, "problems": ["tflm did not run"]})
    assert project.json()["problems"] == ["check: tflm did not run"]
    project.write("build/check.json", {**CHECK, "passed": False})
    assert "passed is false, with 0 problems" in project.refused()


def test_a_board_that_is_only_built_needs_no_count(project):
    project.write("lenet-edge.toml", "[board.microbit]\nram_bytes = 4_000\n")
    (project.folder / "build/bench/microbit.json").unlink()
    assert set(measured(project.json())) >= {("microbit", "flash_bytes"), ("microbit", "ram_bytes")}


def test_what_was_measured_without_a_budget_is_shown(project):
    project.write("lenet-edge.toml", "[board.microbit]\nram_bytes = 4_000\n")
    line = measured(project.json())["microbit", "instructions"]
    assert (line["value"], line["budget"], line["within"]) == (3_046_895, None, True)


# --- the base branch --------------------------------------------------------------------------------


def test_the_change_against_the_base(project):
    project.json()
    (project.folder / "build/budget.json").rename(project.folder / "base.json")
    project.write("build/bench/microbit.json", bench("microbit", "instructions", 3_077_364))
    lower = [{**engine, "accuracy": 0.9950} for engine in CHECK["engines"][:3]]
    accuracies = {"int8_accuracy": 0.9950, "float_accuracy": 0.9950, "drop_points": 0.0}
    accuracies["confusion"] = check_records.confusion(10_000, 9_950)
    project.write("build/check.json", {**CHECK, **accuracies, "engines": lower})
    found = measured(project.json("--base", "base.json"))
    assert found["microbit", "instructions"]["change"] == 30_469
    assert found["microbit", "flash_bytes"]["change"] == 0
    assert found["model", "accuracy"]["change"] == pytest.approx(-0.0008)
    shown = project("--base", "base.json", "--markdown").stdout
    assert "| microbit | instructions | 3,077,364 | 3,046,895 | +30,469 (+1.0 %) | at most 3,100,000 | ok |" in shown
    assert "| model | accuracy | 99.50 % | 99.58 % | -0.08 points | at least 99.00 % | ok |" in shown
    assert "| microbit | flash, bytes | 67,700 | 67,700 | 0 | at most 70,000 | ok |" in shown


def test_the_first_merge_has_no_base(project):
    done = project("--base", "none.json")
    assert done.exception is None
    assert "nothing to compare with yet" in done.stderr


def test_a_base_of_other_images_or_another_compiler_is_named(project):
    project.json()
    base = json.loads((project.folder / "build/budget.json").read_text())
    project.write("base.json", {**base, "images": 100, "toolchains": {"microbit": "zig 0.17.1"}})
    found = project.json("--base", "base.json")
    assert measured(found)["model", "accuracy"]["base"] is None
    assert measured(found)["microbit", "ram_bytes"]["base"] == 3_724
    assert [("100 images" in note, "zig" in note) for note in found["notes"]] == [(True, False), (False, True)]


def test_a_board_that_is_new_has_no_base(project):
    project.json()
    base = json.loads((project.folder / "build/budget.json").read_text())
    base["measures"] = [line for line in base["measures"] if line["of"] != "microbit"]
    project.write("base.json", {**base, "toolchains": {}})
    found = project.json("--base", "base.json")
    assert measured(found)["microbit", "ram_bytes"]["base"] is None
    assert measured(found)["atmega2560", "cycles"]["change"] == 0
    assert found["notes"] == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"measures": 1}', '{"measures": [{"of": "a"}]}', "\x00"])
def test_a_base_that_is_no_record(project, content):
    project.write("base.json", content)
    assert "base.json" in project.refused("--base", "base.json")


# --- the file of budgets ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[models]\naccuracy = 0.9", ("'models'", "'model'")),
        ("[model]\nacuracy = 0.9", ("[model]", "'acuracy'", "'accuracy'")),
        ("[model]\ndrop = 0.1", ("'drop'", "'drop_points'")),
        ("[board.microbit]\nflash = 1", ("[board.microbit]", "'flash'", "'flash_bytes'")),
        ("[board.microbit]\nzzz = 1", ("'zzz'", "cycles, flash_bytes, instructions, ram_bytes")),
        ("[model]\naccuracy = 99.5", ("'accuracy' is 99.5; give a share from 0 to 1, such as 0.99 for 99 %",)),
        ("[model]\naccuracy = 2", ("'accuracy' is 2; give a share from 0 to 1, such as 0.99 for 99 %",)),
        ("[model]\naccuracy = nan", ("'accuracy' is nan; give a share",)),
        ("[model]\naccuracy = true", ("accuracy", "number")),
        ("[model]\ndrop_points = 'much'", ("drop_points", "number")),
        (
            "[model]\ndrop_points = 1000",
            ("'drop_points' is 1000; give percentage points from -100 to 100, such as 0.1",),
        ),
        ("[board.microbit]\nflash_bytes = 1.5", ("flash_bytes", "integer")),
        ("[board.microbit]\nflash_bytes = -1", ("'flash_bytes' is -1; give a number that is not negative",)),
        ("[board.'a/../b']\nflash_bytes = 1", ("a/../b", "boards")),
        ("[board]\nmicrobit = 3", ("microbit", "table")),
        ("board = 3", ("board", "table")),
        ("", ("no budget",)),
        ("[board.microbit]", ("no budget",)),
        ("[model", ("TOML",)),
        ("\udc80", ("not UTF-8",)),
        (f"[board.microbit]\nflash_bytes = {2**64}", ("an integer of 65 bits; give a number of at most 64 bits",)),
        (
            f"[board.microbit]\nflash_bytes = {'9' * 401}",
            ("[board.microbit]", "'flash_bytes' is an integer of 1,333 bits"),
        ),
        (f"[board.microbit]\nflash_bytes = 0x{'f' * 5000}", ("[board.microbit]", "'flash_bytes'", "64 bits")),
        (f"[board.microbit]\nflash_bytes = {'9' * 5000}", ("'flash_bytes' has a number of 5,000 digits",)),
        (f"[model]\naccuracy = {'9' * 401}", ("[model]", "'accuracy' is an integer of 1,333 bits; give a share")),
        ("[model]\ndrop_points = 1e999", ("[model]", "'drop_points' is inf; give percentage points")),
        ("[model]\ndrop_points = -inf", ("[model]", "'drop_points' is -inf; give percentage points")),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path, text, parts):
    path = tmp_path / "lenet-edge.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(errors.BadInputError) as refused:
        budget.read_budgets(path)
    assert [part for part in (str(path), *parts) if part not in str(refused.value)] == [], refused.value


def test_without_a_file_the_message_says_where_its_words_are(project):
    (project.folder / "lenet-edge.toml").unlink()
    assert "lenet-edge budget --help" in project.refused()


# --- the records ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "command"),
    [
        ("build/check.json", "lenet-edge check"),
        ("build/firmware/microbit/manifest.json", "lenet-edge build --board microbit"),
        ("build/bench/microbit.json", "lenet-edge bench --board microbit"),
    ],
)
def test_a_record_that_is_missing_or_none_is_named_with_its_command(project, record, command):
    for content in ("", "[]", "{}", '{"fingerprint": 3}', '{"a": ' * 100_000, None):
        if content is None:
            (project.folder / record).unlink()
        else:
            project.write(record, content)
        message = project.refused()
        assert record in message
        assert command in message


@pytest.mark.parametrize("record", ["build/firmware/microbit/manifest.json", "build/bench/microbit.json"])
def test_a_record_of_another_model_or_board_is_refused(project, record):
    original = json.loads((project.folder / record).read_text())
    for change in ({"fingerprint": OTHER}, {"board": "mps2-an386"}):
        project.write(record, {**original, **change})
        assert record in project.refused()


def test_a_board_s_name_with_a_typing_error(project):
    project.write("lenet-edge.toml", "[board.microbits]\nflash_bytes = 70_000\n")
    assert "Did you mean 'microbit'?" in project.refused()


def test_an_accuracy_that_the_check_does_not_have(project):
    project.write("build/check.json", {**check(None), "data": "noise"})
    assert "accuracy" in project.refused()


def test_instructions_of_a_board_that_counts_cycles(project):
    project.write("lenet-edge.toml", "[board.atmega2560]\ninstructions = 3\n")
    assert "budget of cycles" in project.refused()


# --- the forms --------------------------------------------------------------------------------------


def test_the_table_says_which_is_over(project):
    project.write("lenet-edge.toml", BUDGETS.replace("4_000", "3_000").replace("0.99", "0.999"))
    shown = project().stdout
    assert "3,724" in shown
    assert re.search(r"RAM, bytes.*at most 3,000.*OVER", shown)
    assert re.search(r"accuracy.*at least 99.90 %.*BELOW", shown)
    assert shown.rstrip().endswith("NOT within budget")


def test_markdown_is_one_table_and_nothing_of_a_message_is_acted_upon(project):
    message = "tflm said: <img src=x> | [a](b) @all\n# x"
    project.write("build/check.json", {**CHECK, "passed": False, "problems": [message]})
    shown = project("--markdown").stdout
    rows = [line for line in shown.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 7
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}
    assert shown.startswith("### lenet-edge: NOT within budget\n")
    (item,) = [line for line in shown.splitlines() if line.startswith("* ")]
    assert "\\<img" in item
    assert "\\@all" in item
    assert "\\# x" in item


def test_junit_has_a_case_for_every_budget(project):
    project.write("lenet-edge.toml", BUDGETS.replace("4_000", "3_000"))
    project("--junit", "budget.xml")
    suite = ElementTree.fromstring((project.folder / "budget.xml").read_text())  # noqa: S314 - we wrote it
    cases = {case.get("name"): case for case in suite}
    assert set(cases) == {
        "check",
        "model accuracy",
        "model drop_points",
        "model logits_differ",
        "microbit flash_bytes",
        "microbit ram_bytes",
        "microbit instructions",
        "atmega2560 cycles",
    }
    failures = {name: case[0].get("message") for name, case in cases.items() if len(case)}
    assert failures == {"microbit ram_bytes": "3,724, at most 3,000"}
    assert (suite.get("tests"), suite.get("failures")) == ("8", "1")
    assert {case.get("classname") for case in suite} == {"lenet_edge.budget"}


def test_json_and_markdown_at_once(project):
    done = project("--json", "--markdown")
    assert done.exit_code == 2
