"""Trains and quantises a network with several seeds, and records how accurate each is: the records of accuracy/.

    make accuracy CAMPAIGN=lenet5-mnist                 # seeds 1 to 5; what is recorded already is not done again
    python benchmarks/accuracy.py lenet5-mnist --seeds 3
    python benchmarks/accuracy.py --table               # only writes the table of docs/explanation/accuracy.md

A campaign may be stopped at any moment and goes on where it was: each figure is recorded as soon as it is there, models
and logs are kept in build/accuracy/. A record of another recipe is not mixed with: remove it first.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lenet_edge.files import to_json, write_file
from lenet_edge.networks import reader
from lenet_edge.networks.description import Network, trained_by

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "benchmarks" / "accuracy"
BUILD = ROOT / "build" / "accuracy"
PAGE = ROOT / "docs" / "explanation" / "accuracy.md"
BEGIN, END = "<!-- accuracy: make accuracy writes what is between -->\n", "<!-- accuracy: end -->\n"
FLOAT = "float"
_SHOWN = {FLOAT: "float", "8": "int8", "4": "4 bits", "2": "ternary"}


@dataclass(frozen=True)
class Campaign:
    """What is trained.

    Attributes:
        recipe: None is the network's own.
        bits: of the weights, as `quantize --weight-bits` has them.
    """

    data: str
    recipe: str | None = None
    bits: tuple[str, ...] = ("8", "4", "2")
    network: str = "lenet5"

    def described(self) -> Network:
        """The network with the recipe."""
        return trained_by(reader.load(self.network), self.recipe)

    def arguments(self, step: str, folder: str, seed: str) -> list[str]:
        """Of `lenet-edge`: for the float training, or for the bits that `step` is."""
        weights, common = f"{folder}/{self.network}.safetensors", ["--data", self.data, "--seed", seed]
        if step == FLOAT:
            recipe = [] if self.recipe is None else ["--recipe", self.recipe]
            return ["train", "--network", self.network, *recipe, *common, "--out", weights]
        out = f"{folder}/weights-{step}.tflite"
        return ["quantize", "--model", weights, "--weight-bits", step, *common, "--out", out]


CAMPAIGNS: Mapping[str, Campaign] = {
    "lenet5-mnist": Campaign("mnist"),
    "lenet5-mnist-taught": Campaign("mnist", "taught"),
    "lenet5-fashion-mnist": Campaign("fashion-mnist", "clothes", ("8",)),
}


def run(name: str, seeds: Sequence[int]) -> None:
    """Do what is missing of a campaign, and record each figure as it comes."""
    campaign, path = CAMPAIGNS[name], RECORDS / f"{name}.json"
    record = _begun(name, campaign, path)
    for seed in map(str, seeds):
        folder = BUILD / name / f"seed-{seed}"
        done = record["seeds"].setdefault(seed, {})
        missing = [step for step in (FLOAT, *campaign.bits) if step not in done]
        if missing and FLOAT not in missing and not (folder / f"{campaign.network}.safetensors").exists():
            missing.insert(0, FLOAT)  # its figure is recorded, but its weights are needed and gone
        for step in missing:
            print(f"{name}, seed {seed}: {_SHOWN[step]}", flush=True)
            done[step] = figures_of(step, _lenet_edge(campaign.arguments(step, str(folder), seed), folder / step))
            done["versions"] = versions()
            write(path, record)


def _begun(name: str, campaign: Campaign, path: Path) -> dict[str, Any]:
    """The record so far; what it is of must be what is asked for."""
    network = reader.to_json(campaign.described())
    commands = {
        step: "lenet-edge " + " ".join(campaign.arguments(step, f"build/accuracy/{name}/seed-SEED", "SEED"))
        for step in (FLOAT, *campaign.bits)
    }
    begun = {"campaign": name, "data": campaign.data, "network": network, "commands": commands, "seeds": {}}
    if not path.exists():
        return begun
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    # Read, so that a key that recipes had not yet stands for its default.
    if reader.from_json(found["network"]) != campaign.described() or found["data"] != campaign.data:
        sys.exit(f"{path} is of another network or recipe: remove it, and its folder in build/accuracy/")
    return {**begun, "seeds": found["seeds"]}


def _lenet_edge(arguments: Sequence[str], out: Path) -> dict[str, Any]:
    """What the command prints as JSON; its log is kept next to that."""
    out.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "lenet_edge", *arguments, "--json"]
    with out.with_suffix(".log").open("w", encoding="utf-8") as log:
        done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} ended with {done.returncode}: see {log.name}")
    write_file(out.with_suffix(".json"), done.stdout.encode())
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def figures_of(step: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of what a command says: accuracies 0..1."""
    if step == FLOAT:
        return {"test": said["test_accuracy"], "validation": said["validation_accuracy"], "epochs": said["epochs_done"]}
    return {
        "test": said["int8_accuracy"],
        "fingerprint": said["fingerprint"],
        "disagreements": said["proof"]["disagreements"],
    }


def versions() -> dict[str, str]:
    """Of what a figure depends on."""
    packages = {name: version(name) for name in ("lenet-edge", "torch", "numpy")}
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))
    return {**packages, "python": platform.python_version(), "machine": platform.machine(), "threads": threads}


def summary(accuracies: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation (of the sample; None of one seed) and the worst, 0..1, and of how many seeds."""
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else None
    return {"seeds": len(accuracies), "mean": statistics.fmean(accuracies), "sd": spread, "worst": min(accuracies)}


def summaries(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Of the float networks and of each number of bits, on the test set."""
    found: dict[str, dict[str, Any]] = {}
    for step in record["commands"]:
        if tests := [seed[step]["test"] for seed in record["seeds"].values() if step in seed]:
            found[step] = summary(tests)
    return found


def write(path: Path, record: Mapping[str, Any]) -> None:
    """The record with its summaries."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, to_json({**record, "figures": summaries(record)}).encode())


def table() -> str:
    """All records as lines of a table; accuracies in per cent."""
    lines = ["| data, network, recipe | weights | seeds | test accuracy | worst |", "|---|---|---|---|---|"]
    for name, campaign in CAMPAIGNS.items():
        path = RECORDS / f"{name}.json"
        if not path.exists():
            continue
        figures = json.loads(path.read_text(encoding="utf-8"))["figures"]
        for step in (each for each in (FLOAT, *campaign.bits) if each in figures):
            found = figures[step]
            spread = "" if found["sd"] is None else f" ± {100 * found['sd']:.2f}"
            what = f"{campaign.data}, `{campaign.network}`, {campaign.recipe or 'its own'}"
            mean, worst = f"{100 * found['mean']:.2f}{spread} %", f"{100 * found['worst']:.2f} %"
            lines.append(f"| {what} | {_SHOWN[step]} | {found['seeds']} | {mean} | {worst} |")
    return "\n".join(lines) + "\n"


def in_page(text: str) -> str:
    """The table that the page has."""
    return text.partition(BEGIN)[2].partition(END)[0]


def write_table() -> None:
    """The table of the page, from the records."""
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    write_file(PAGE, (before + BEGIN + table() + END + after).encode())


def main() -> None:
    """Runs the campaigns that are named, then writes the table."""
    parser = argparse.ArgumentParser(description="Accuracy over several seeds.")
    parser.add_argument("campaigns", nargs="*", choices=[[], *CAMPAIGNS], metavar="CAMPAIGN", help=", ".join(CAMPAIGNS))
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 1 on (default 5)")
    parser.add_argument("--table", action="store_true", help="only write the table of the docs")
    chosen = parser.parse_args()
    for name in [] if chosen.table else chosen.campaigns or CAMPAIGNS:
        run(name, range(1, chosen.seeds + 1))
    write_table()


if __name__ == "__main__":
    main()
