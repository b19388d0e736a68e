"""Trains and quantises a network with several seeds, and records how accurate each is: the records of accuracy/.

    make accuracy CAMPAIGN=lenet5-mnist                 # seeds 1 to 5; what is recorded already is not done again
    python benchmarks/accuracy.py lenet5-mnist --seeds 3
    python benchmarks/accuracy.py lenet5-mnist --device cuda --jobs 16
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
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
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


def shown(step: str) -> str:
    """The weights of a step as people call them; of some layers as they are written, with int8 elsewhere."""
    return _SHOWN.get(step, step)


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

    @property
    def weights(self) -> str:
        """The file of the float network."""
        return f"{self.network}.safetensors"

    def described(self) -> Network:
        """The network with the recipe."""
        return trained_by(reader.load(self.network), self.recipe)

    def arguments(self, step: str, folder: str, seed: str, device: str = "cpu") -> list[str]:
        """Of `lenet-edge`: for the float training, or for the bits that `step` is."""
        weights, common = f"{folder}/{self.weights}", ["--data", self.data, "--seed", seed]
        common += [] if device == "cpu" else ["--device", device]
        if step == FLOAT:
            recipe = [] if self.recipe is None else ["--recipe", self.recipe]
            return ["train", "--network", self.network, *recipe, *common, "--out", weights]
        out = f"{folder}/weights-{step}.tflite"
        return ["quantize", "--model", weights, "--weight-bits", step, *common, "--out", out]


CAMPAIGNS: Mapping[str, Campaign] = {
    "lenet5-mnist": Campaign("mnist", bits=("8", "4", "2", "C3=4,C5=2,F6=4")),
    "lenet5-mnist-record": Campaign("mnist", "record"),
    "lenet5-1998-mnist-record": Campaign("mnist", "record", ("8",), "lenet5-1998"),
    "lenet5-1998-mnist-undistorted": Campaign("mnist", "undistorted", ("8",), "lenet5-1998"),
    "lenet5-fashion-mnist": Campaign("fashion-mnist", "clothes", ("8",)),
}


@dataclass(frozen=True)
class Machine:
    """Where it runs.

    Attributes:
        device: of torch.
        jobs: trainings at a time. Several only help a GPU, or a processor of many cores.
    """

    device: str = "cpu"
    jobs: int = 1

    @property
    def threads(self) -> int:
        """Of one training."""
        return max(1, (os.cpu_count() or 1) // self.jobs)


def run(name: str, seeds: Sequence[int], machine: Machine = Machine()) -> None:
    """Do what is missing of a campaign, and record each figure as it comes."""
    campaign, path = CAMPAIGNS[name], RECORDS / f"{name}.json"
    record = _begun(name, campaign, path)
    work = [(seed, step) for seed in map(str, seeds) for step in _missing(name, campaign, record, seed)]
    if machine.jobs > 1:
        work.sort(key=lambda each: each[1] != FLOAT)  # the others wait for these
        if work:
            _teach(campaign, machine.device)
    for (seed, step), said in _done(name, campaign, work, machine):
        done = record["seeds"].setdefault(seed, {})
        done[step] = figures_of(step, said)
        done["versions"] = versions(machine)
        write(path, record)


def _missing(name: str, campaign: Campaign, record: Mapping[str, Any], seed: str) -> list[str]:
    """The steps that are not recorded of a seed."""
    done = record["seeds"].get(seed, {})
    missing = [step for step in (FLOAT, *campaign.bits) if step not in done]
    if missing and FLOAT not in missing and not (BUILD / name / f"seed-{seed}" / campaign.weights).exists():
        missing.insert(0, FLOAT)  # its figure is recorded, but its weights are needed and gone
    return missing


def _done(
    name: str, campaign: Campaign, work: Sequence[tuple[str, str]], machine: Machine
) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    """Each (seed, step) with what `lenet-edge` says, as it is done; a float network before what is made of it."""
    done: dict[Future[dict[str, Any]], tuple[str, str]] = {}
    floats: dict[str, Future[dict[str, Any]]] = {}

    def do(seed: str, step: str) -> dict[str, Any]:
        if step != FLOAT and seed in floats:
            floats[seed].result()  # it was begun before
        print(f"{name}, seed {seed}: {shown(step)}", flush=True)
        folder = BUILD / name / f"seed-{seed}"
        arguments = campaign.arguments(step, str(folder), seed, machine.device)
        return _lenet_edge(arguments, folder / step, machine.threads)

    with ThreadPoolExecutor(machine.jobs) as pool:
        for seed, step in work:
            future = pool.submit(do, seed, step)
            done[future] = (seed, step)
            if step == FLOAT:
                floats[seed] = future
        try:
            for future in as_completed(done):
                yield done[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _teach(campaign: Campaign, device: str) -> None:
    """Have the teachers trained and heard, where the recipe has some: seeds side by side find them there."""
    recipe = campaign.described().recipe
    if recipe.teacher is None:
        return
    from lenet_edge import datasets
    from lenet_edge.learning.settings import TrainingSet
    from lenet_edge.learning.teaching import FOLDER, VIEWS, Teaching, lessons_for
    from lenet_edge.preparation.request import PreparationRequest

    dataset = datasets.load(campaign.data, PreparationRequest())
    how = Teaching(ROOT / FOLDER, device, lambda line: print(line, flush=True))
    lessons = lessons_for(recipe, TrainingSet.of(dataset), dataset.class_names, dataset.name, how)
    assert lessons is not None
    for epoch in range(min(VIEWS, recipe.epochs)):
        lessons.view(epoch)


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


def _lenet_edge(arguments: Sequence[str], out: Path, threads: int) -> dict[str, Any]:
    """What the command prints as JSON; its log is kept next to that."""
    out.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "lenet_edge", *arguments, "--json"]
    with out.with_suffix(".log").open("w", encoding="utf-8") as log:
        environment = {"OMP_NUM_THREADS": str(threads), **os.environ}
        done = subprocess.run(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603
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


def versions(machine: Machine) -> dict[str, str]:
    """Of what a figure depends on."""
    packages = {name: version(name) for name in ("lenet-edge", "torch", "numpy")}
    threads = os.environ.get("OMP_NUM_THREADS", str(machine.threads))
    device = {} if machine.device == "cpu" else {"device": _device_name(machine.device)}
    python = {"python": platform.python_version(), "machine": platform.machine()}
    return {**packages, **python, "threads": threads, **device}


def _device_name(device: str) -> str:
    if not device.startswith("cuda"):
        return device
    import torch

    return torch.cuda.get_device_name(device)


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
            lines.append(f"| {what} | {shown(step)} | {found['seeds']} | {mean} | {worst} |")
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
    parser.add_argument("--device", default="cpu", help="of torch (default cpu)")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, for a GPU or many cores (default 1)")
    parser.add_argument("--table", action="store_true", help="only write the table of the docs")
    chosen = parser.parse_args()
    for name in [] if chosen.table else chosen.campaigns or CAMPAIGNS:
        run(name, range(1, chosen.seeds + 1), Machine(chosen.device, chosen.jobs))
    write_table()


if __name__ == "__main__":
    main()
