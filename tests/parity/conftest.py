"""What the tests of the command line share: how it is started, a small data set, and one run of the pipeline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import idx_files
import numpy as np
import pytest
import sample_models

from lenet_edge.formats import tflite


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout; anything else there is an error."""
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found


RunCli = Callable[..., Outcome]


def environment(home: Path, **variables: str) -> dict[str, str]:
    """The environment of a command: nothing of the user's, one thread, its own temporary folder."""
    temporary = home / "tmp"
    temporary.mkdir(exist_ok=True)
    places = {"LENET_EDGE_CACHE": str(home / "cache"), "TMPDIR": str(temporary)}
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100", **places, **variables}


@pytest.fixture(scope="session")
def run_cli() -> RunCli:
    """``run_cli(*arguments, cwd=folder, **variables)``: the command line in its own process."""

    def run(*arguments: object, cwd: Path, code: str = "", **variables: str) -> Outcome:
        start = ["-c", code] if code else ["-m", "lenet_edge"]
        argv = [sys.executable, *start, *map(str, arguments)]
        done = subprocess.run(argv, cwd=cwd, env=environment(cwd, **variables), capture_output=True, timeout=300)
        # Ours are cleaned up, however it ended; torch and ONNX Runtime leave their own files.
        assert not list((cwd / "tmp").glob("lenet-edge-*"))
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def bands(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright band whose height is the class: ten classes that can be learned."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count).astype(np.uint8)
    images = rng.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 3 : 2 * label + 7, 4:24] += 180
    return images, labels


@pytest.fixture(scope="session")
def bands_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with IDX files: 600 training and 100 test images."""
    folder = tmp_path_factory.mktemp("data") / "bands"
    return idx_files.write_folder(folder, [*bands(600, 1), *bands(100, 2)])


@dataclass(frozen=True)
class Pipeline:
    """A folder in which `train` and `quantize` ran with default paths, and what they printed."""

    folder: Path
    train: Outcome
    quantize: Outcome

    @property
    def build(self) -> Path:
        return self.folder / "build"

    @property
    def model(self) -> Path:
        return self.build / "lenet5-int8.tflite"


@pytest.fixture(scope="session")
def pipeline(run_cli: RunCli, bands_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("pipeline")
    train = run_cli("train", "--data", bands_data, "--epochs", 1, "--json", cwd=folder)
    assert train.code == 0, train.stderr
    quantize = run_cli("quantize", "--int8", "--data", bands_data, "--epochs", 1, "--json", cwd=folder)
    assert quantize.code == 0, quantize.stderr
    return Pipeline(folder, train, quantize)


@pytest.fixture(scope="session")
def tie_free_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An int8 LeNet-5 with random weights on the tie-free grid."""
    path = tmp_path_factory.mktemp("models") / "random-int8.tflite"
    path.write_bytes(tflite.to_bytes(sample_models.lenet5(31)))
    return path
