"""Random graphs through the reader, the exporter and a C compiler with sanitizers, against TFLM: every output of each.

    python tests/kernels/graph_campaign.py [--count N] [--start SEED] [--jobs N] [--record] [--like onnxruntime]

With --like onnxruntime the C is to compute what ONNX Runtime makes of the same graphs as we write them to ONNX.

Exits with 1 if anything differs, or if lenet-edge refuses a graph that TFLM runs for a reason that is not in `EXCUSED`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from c_harness import build_kernels, build_programs
from c_programs import FIRMWARE, images_for, run
from random_graphs import random_graph
from written_trees import write

from lenet_edge.engines import onnxruntime, tflite_worker
from lenet_edge.errors import BadInputError
from lenet_edge.formats import c_source, onnx, tflite
from lenet_edge.quantized import reference
from lenet_edge.quantized.like import USUAL, as_computed_by, original

RECORD = Path(__file__).parent / "graphs.json"
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - the programs are large
BATCH = 250  # graphs in one program
EXCUSED = ("no layer that computes",)
EXCUSED_LIKE = (*EXCUSED, "--like tflm", "ONNX's ", "in ONNX")  # what no C can be like, or no ONNX can hold


@dataclass
class Outcome:
    """What a campaign found.

    Attributes:
        graphs: that TFLM and the C ran.
        values: outputs that were compared.
        operators: in those graphs.
        c_differs, reference_differs: seeds of graphs of which an output is not TFLM's.
        refused: what lenet-edge says -> seeds of the graphs that it refuses.
        refused_by_tflm: seeds of the graphs that only TFLM refuses, or the runtime that is asked instead.
        excused: what refusals may say.
    """

    graphs: int = 0
    values: int = 0
    operators: Counter[str] = field(default_factory=Counter)
    c_differs: list[int] = field(default_factory=list)
    reference_differs: list[int] = field(default_factory=list)
    refused: dict[str, list[int]] = field(default_factory=dict)
    refused_by_tflm: list[int] = field(default_factory=list)
    excused: tuple[str, ...] = EXCUSED

    def add(self, other: Outcome) -> None:
        self.graphs, self.values = self.graphs + other.graphs, self.values + other.values
        self.operators.update(other.operators)
        self.c_differs += other.c_differs
        self.reference_differs += other.reference_differs
        self.refused_by_tflm += other.refused_by_tflm
        for why, seeds in other.refused.items():
            self.refused.setdefault(why, []).extend(seeds)

    @property
    def faults(self) -> list[str]:
        """What must not be, a line each."""
        found = [f"the C differs from TFLM: seed {seed}" for seed in self.c_differs]
        found += [f"the reference differs from TFLM: seed {seed}" for seed in self.reference_differs]
        found += [f"only TFLM refuses it: seed {seed}" for seed in self.refused_by_tflm]
        return found + [
            f"refused: {why}: seeds {seeds[:5]}"
            for why, seeds in self.refused.items()
            if not any(each in why for each in self.excused)
        ]


def campaign(seeds: Sequence[int], kernels: dict[str, Path], like: str = USUAL) -> Outcome:
    """All the graphs of these seeds, in a few programs with the kernels of `build_kernels`."""
    outcome, models, names = Outcome(excused=EXCUSED if like == USUAL else EXCUSED_LIKE), {}, {}
    with tempfile.TemporaryDirectory(dir=MEMORY) as text:
        work = Path(text)
        for seed in seeds:
            data, names[seed] = random_graph(seed)
            (work / f"{seed}.tflite").write_bytes(data)
            try:
                models[seed] = as_computed_by(like, tflite.from_bytes(data))
                if like != USUAL:
                    (work / f"{seed}.onnx").write_bytes(onnx.to_bytes(original(models[seed])))
                write(work / str(seed), c_source.export(c_source.make_plan(models[seed]), FIRMWARE))
            except BadInputError as error:
                models.pop(seed, None)
                outcome.refused.setdefault(re.sub(r"\d+", "#", str(error)), []).append(seed)
        theirs = _tflm if like == USUAL else partial(onnxruntime.run, optimize=True)
        suffix = "tflite" if like == USUAL else "onnx"
        expected = {seed: theirs(work / f"{seed}.{suffix}", images_for(model)) for seed, model in models.items()}
        found = _c(models, work, kernels)
    for seed, model in models.items():
        if expected[seed] is None:
            outcome.refused_by_tflm.append(seed)
            continue
        outcome.graphs, outcome.values = outcome.graphs + 1, outcome.values + expected[seed].size
        outcome.operators.update(names[seed])
        outcome.c_differs += [seed] if not np.array_equal(found[seed], expected[seed]) else []
        emulated = reference.run(model, images_for(model))
        outcome.reference_differs += [seed] if not np.array_equal(emulated, expected[seed]) else []
    return outcome


def _c(models, work: Path, kernels):
    """Seed -> int8 ``[n, outputs]`` of the C."""
    (work / "programs").mkdir()
    folders = {seed: work / str(seed) for seed in models}
    programs = build_programs(folders, work / "programs", kernels)
    found = {}
    for number, (seed, model) in enumerate(models.items()):
        images = images_for(model)
        outputs = np.frombuffer(run(programs[seed], number, input=images.tobytes()), np.int8)
        found[seed] = outputs.reshape(len(images), -1)
    return found


def _tflm(path: Path, images) -> np.ndarray | None:
    """int8 ``[n, outputs]`` of TFLM, in a child that may die of it; None where it refuses or dies."""
    results = path.with_suffix(".npy")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            warnings.simplefilter("ignore")
            runner = tflite_worker.TfLiteMicro("tflite_micro", str(path), "default", False, 1 << 20)
            np.save(results, tflite_worker.run(runner, images, False)[0])
            status = 0
        finally:
            os._exit(status)
    return np.load(results) if os.waitpid(child, 0)[1] == 0 else None


# --- the command line -------------------------------------------------------------------------------


def whole_campaign(seeds: range, jobs: int, like: str = USUAL) -> Outcome:
    batches = [seeds[start : start + BATCH] for start in range(0, len(seeds), BATCH)]
    total = Outcome(excused=EXCUSED if like == USUAL else EXCUSED_LIKE)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder, ProcessPoolExecutor(jobs) as pool:
        kernels = build_kernels(Path(folder))
        for number, outcome in enumerate(pool.map(partial(campaign, kernels=kernels, like=like), batches), 1):
            total.add(outcome)
            print(f"{number} of {len(batches)}: {total.graphs} graphs, {len(total.faults)} faults", flush=True)
            print(*outcome.faults, sep="\n", end="\n" if outcome.faults else "", flush=True)
    return total


def record(seeds: range, total: Outcome) -> None:
    """Write the figures, with the versions of what gave them."""
    gcc = run("gcc", "--version").decode().splitlines()[0]
    facts = {
        **{name: found for name, found in vars(total).items() if name != "excused"},
        "operators": dict(sorted(total.operators.items())),
        "refused": {why: len(found) for why, found in total.refused.items()},
        "versions": {"tflite_micro": version("tflite_micro"), "compiler": gcc},
    }
    RECORD.write_text(json.dumps({"seeds": [seeds.start, seeds.stop], **facts}, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=5250, help="graphs to try")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="batches at a time")
    parser.add_argument("--record", action="store_true", help=f"put the figures into {RECORD.name}")
    parser.add_argument("--like", choices=(USUAL, "onnxruntime"), default=USUAL, help="whose integers the C computes")
    options = parser.parse_args()
    seeds = range(options.start, options.start + options.count)
    total = whole_campaign(seeds, options.jobs, options.like)
    print(json.dumps(vars(total), indent=1))
    if options.record:
        record(seeds, total)
    return 1 if total.faults else 0


if __name__ == "__main__":
    sys.exit(main())
