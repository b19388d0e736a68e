"""Campaigns of seeds: what is recorded, what is done again, and the table that the docs have of it."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("accuracy", ROOT / "benchmarks" / "accuracy.py")
assert _spec is not None
assert _spec.loader is not None
accuracy = sys.modules["accuracy"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(accuracy)
RECORDED = sorted((ROOT / "benchmarks" / "accuracy").glob("*.json"))


class Commands:
    """Stands in for `lenet-edge`: the accuracy is a number of the seed; may end before its so-manieth command."""

    def __init__(self, ends_at: int = 1000) -> None:
        self.calls: list[list[str]] = []
        self.ends_at = ends_at

    def __call__(self, arguments: list[str], _out: Path, _threads: int) -> dict[str, Any]:
        if len(self.calls) == self.ends_at:
            raise KeyboardInterrupt
        self.calls.append(list(arguments))
        found = 0.9 + int(arguments[arguments.index("--seed") + 1]) / 100
        if arguments[0] == "train":
            Path(arguments[arguments.index("--out") + 1]).parent.mkdir(parents=True, exist_ok=True)
            Path(arguments[arguments.index("--out") + 1]).touch()
            return {"test_accuracy": found, "validation_accuracy": 0.5, "epochs_done": 3}
        return {"int8_accuracy": found - 0.005, "fingerprint": "f", "proof": {"disagreements": 0}}


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The record of a campaign with 8 and 2 bits."""
    monkeypatch.setattr(accuracy, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(accuracy, "BUILD", tmp_path / "build")
    monkeypatch.setattr(accuracy, "CAMPAIGNS", {"small": accuracy.Campaign("mnist", "clothes", ("8", "2"))})
    return tmp_path / "records" / "small.json"


def test_mean_spread_and_worst() -> None:
    found = accuracy.summary([0.95, 0.97, 0.99])
    assert (found["seeds"], found["worst"]) == (3, 0.95)
    assert found["mean"] == pytest.approx(0.97)
    assert found["sd"] == pytest.approx(0.02)  # of a sample: sqrt((0.02^2 + 0.02^2) / 2)
    assert accuracy.summary([0.9])["sd"] is None


def test_a_campaign_that_was_stopped_goes_on(campaign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, first, second = Commands(), Commands(ends_at=4), Commands()
    monkeypatch.setattr(accuracy, "_lenet_edge", first)
    with pytest.raises(KeyboardInterrupt):
        accuracy.run("small", [1, 2])
    assert set(json.loads(campaign.read_text())["seeds"]["2"]) == {"float", "versions"}
    monkeypatch.setattr(accuracy, "_lenet_edge", second)
    accuracy.run("small", [1, 2])
    monkeypatch.setattr(accuracy, "_lenet_edge", whole)
    resumed = campaign.read_text()
    campaign.unlink()
    accuracy.run("small", [1, 2])
    assert first.calls + second.calls == whole.calls
    assert resumed == campaign.read_text()
    figures = json.loads(resumed)["figures"]
    assert figures["float"]["mean"] == pytest.approx(0.915)
    assert figures["2"]["worst"] == pytest.approx(0.905)


def test_side_by_side_float_networks_come_first_and_what_is_made_of_one_waits(
    campaign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands, lock, float_is_done = Commands(), threading.Lock(), set()

    def slowly(arguments: list[str], out: Path, threads: int) -> dict[str, Any]:
        seed = arguments[arguments.index("--seed") + 1]
        if arguments[0] == "train":
            time.sleep(0.02 * int(seed))
        with lock:
            assert arguments[0] == "train" or seed in float_is_done
            assert arguments[arguments.index("--device") + 1] == "meta"
            float_is_done.add(seed)
            return commands(arguments, out, threads)

    monkeypatch.setattr(accuracy, "_lenet_edge", slowly)
    accuracy.run("small", [1, 2, 3], accuracy.Machine("meta", jobs=4))
    record = json.loads(campaign.read_text())
    assert {seed: set(done) for seed, done in record["seeds"].items()} == {
        seed: {"float", "8", "2", "versions"} for seed in ("1", "2", "3")
    }
    assert record["seeds"]["1"]["versions"]["device"] == "meta"
    assert "--device" not in record["commands"]["float"]


def test_side_by_side_a_failure_ends_the_campaign_and_keeps_what_was_done(
    campaign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = Commands()

    def fails(arguments: list[str], out: Path, threads: int) -> dict[str, Any]:
        if arguments[0] == "quantize" and arguments[arguments.index("--seed") + 1] == "2":
            time.sleep(0.1)
            sys.exit("ended with 1")
        return commands(arguments, out, threads)

    monkeypatch.setattr(accuracy, "_lenet_edge", fails)
    with pytest.raises(SystemExit, match="ended with 1"):
        accuracy.run("small", [1, 2], accuracy.Machine(jobs=2))
    assert "float" in json.loads(campaign.read_text())["seeds"]["2"]


def test_weights_that_are_gone_are_trained_again(campaign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy, "_lenet_edge", first := Commands(ends_at=1))
    with pytest.raises(KeyboardInterrupt):
        accuracy.run("small", [1])
    Path(first.calls[0][-1]).unlink()
    monkeypatch.setattr(accuracy, "_lenet_edge", again := Commands())
    accuracy.run("small", [1])
    assert [call[0] for call in again.calls] == ["train", "quantize", "quantize"]
    assert "--recipe" in again.calls[0]


def test_a_record_from_before_a_key_of_recipes_goes_on(campaign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy, "_lenet_edge", Commands())
    accuracy.run("small", [1])
    record = json.loads(campaign.read_text())
    del record["network"]["recipe"]["averaging"]
    campaign.write_text(json.dumps(record))
    monkeypatch.setattr(accuracy, "_lenet_edge", again := Commands())
    accuracy.run("small", [1, 2])
    assert {call[call.index("--seed") + 1] for call in again.calls} == {"2"}


def test_a_record_of_another_recipe_is_left_alone(campaign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy, "_lenet_edge", Commands())
    accuracy.run("small", [1])
    kept = campaign.read_text()
    monkeypatch.setattr(accuracy, "CAMPAIGNS", {"small": accuracy.Campaign("mnist", None, ("8", "2"))})
    with pytest.raises(SystemExit, match="another network or recipe"):
        accuracy.run("small", [1])
    assert campaign.read_text() == kept


def test_the_docs_have_the_table_of_the_records() -> None:
    assert accuracy.in_page(accuracy.PAGE.read_text(encoding="utf-8")) == accuracy.table()


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_records_figures_are_those_of_its_seeds_and_of_the_recipe_that_is_there(path: Path) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["figures"] == accuracy.summaries(record)
    campaign = accuracy.CAMPAIGNS[path.stem]
    assert accuracy.reader.from_json(record["network"]) == campaign.described()
    made = [seed[step] for seed in record["seeds"].values() for step in campaign.bits if step in seed]
    assert made
    assert all(each["disagreements"] == 0 for each in made)
    for accuracies in record["figures"].values():
        assert 0.5 < accuracies["worst"] <= accuracies["mean"] < 1
