"""The recipe of the docs: a network from one TOML, on a folder of dark pictures on bright paper, to the same integers.

What `predict` says of the test pictures, read from their files, is what `check` said of the same images in memory: a
model trained on dark-on-bright pictures once took 5 of 100 of its own test pictures for what they were.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "your-own-network.md"
ENGINES = ("host_c", "tflm", "litert-xnnpack", "onnxruntime", "pytorch")


def called(folder: Path, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "lenet_edge", *map(str, arguments), "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def draw(folder: Path) -> None:
    """Dark bars on bright paper of three directions, in pictures of several sizes and a little colour."""
    rng = np.random.default_rng(7)
    for name in ("across", "up [red]", "both"):
        (folder / name).mkdir(parents=True)
        for number in range(60):
            height, width = rng.integers(40, 64, 2)
            pixels = rng.integers(200, 250, (height, width, 3), dtype=np.uint8)
            row, column = int(rng.integers(10, height - 14)), int(rng.integers(10, width - 14))
            if name != "up [red]":
                pixels[row : row + 6] //= 4
            if name != "across":
                pixels[:, column : column + 6] //= 4
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained and quantised as the page says, with fewer epochs."""
    folder = tmp_path_factory.mktemp("own network")
    toml = re.search(r'```toml title="small.toml"\n(.*?)```', PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert toml is not None
    (folder / "small.toml").write_text(toml[1], encoding="utf-8")
    draw(folder / "photos")
    called(folder, "train", "--network", "small.toml", "--data", "photos", "--epochs", 8, "--size", 24)
    arguments = ("--model", "build/small.safetensors", "--data", "photos", "--epochs", 1)
    report = called(folder, "quantize", *arguments)
    assert report["proof"]["passed"]
    return folder


def test_every_engine_computes_the_same(work: Path) -> None:
    chosen = [part for name in ENGINES for part in ("--engine", name)]
    model = ("--model", "build/small-int8.tflite", "--float", "build/small.safetensors")
    record = called(work, "check", *model, "--data", "photos", *chosen, "--max-drop", 100)
    differing = {engine["name"]: engine["logits_differ"] for engine in record["engines"]}
    assert {name: differing[name] for name in ENGINES} == dict.fromkeys(ENGINES, 0)


def test_pictures_in_files_are_what_the_network_was_tested_on(work: Path) -> None:
    from lenet_edge import datasets
    from lenet_edge.formats import tflite
    from lenet_edge.preparation.settings import from_json
    from lenet_edge.quantized.reference import quantize_images, run

    model = tflite.read(work / "build/small-int8.tflite")
    tests = datasets.load_test(str(work / "photos"), from_json(model.metadata["preparation"]))
    assert len(tests.images) >= 10
    files = [work / "photos" / name for name in tests.files]
    said = called(work, "predict", "--model", "build/small-int8.tflite", *files)
    logits = [prediction["logits"] for prediction in said["predictions"]]
    np.testing.assert_array_equal(logits, run(model, quantize_images(tests.images)))
    classes = [prediction["class"] for prediction in said["predictions"]]
    assert np.mean([name == file.parent.name for name, file in zip(classes, files, strict=True)]) > 0.7
