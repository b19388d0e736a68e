"""The first tutorial's command lines, in their order, on a small data set: each does what the page says."""

from __future__ import annotations

import json

import pytest
from doc_pages import DOCS, lines_that_start, titled
from report_figures import Reader, require_figures

PAGE = DOCS / "tutorials" / "mnist-to-a-microbit.md"

# What makes them quick; one epoch on 600 images does not make a good model, so the drop is not judged.
SMALL = {
    "train": ["--epochs", 1],
    "quantize": ["--epochs", 1],
    "check": ["--images", 20, "--max-drop", 100],
    "build": [],
    "run": [],
    "bench": ["--images", 3],
}


@pytest.fixture(scope="module")
def done(run_cli, bands_data, tmp_path_factory):
    """The folder in which all lines ran, and what each printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    lines = [
        line
        for title in ("the pipeline", "the firmware")
        for line in lines_that_start(titled(PAGE, title), "lenet-edge")
    ]
    printed = []
    for line in lines:
        data = [] if line[0] == "build" else ["--data", bands_data]
        outcome = run_cli(*line, *SMALL[line[0]], *data, cwd=folder)
        assert outcome.code == 0, (line, outcome.stderr)
        printed.append((line[0], outcome.stdout))
    return folder, printed


def test_the_steps_are_those_of_the_pipeline(done):
    assert [name for name, _ in done[1]] == ["train", "quantize", "check", "build", "run", "bench", "check"]


def test_each_step_leaves_what_the_page_says(done):
    folder, printed = done
    for path in ("lenet5.safetensors", "lenet5-int8.tflite", "firmware/microbit/firmware.hex", "bench/microbit.json"):
        assert (folder / "build" / path).is_file()
    record = json.loads((folder / "build" / "check.json").read_text())
    assert record["passed"]
    assert [engine["logits_differ"] for engine in record["engines"] if engine["name"].startswith("board:")] == [0]
    assert "0 disagreements" in dict(printed)["quantize"]
    assert "every engine computes the same integers" in dict(printed)["check"]


def test_a_report_of_it_has_the_figures_of_its_records(run_cli, done):
    folder, _ = done
    outcome = run_cli("report", cwd=folder)
    assert outcome.code == 0, outcome.stderr
    report = Reader((folder / "build" / "report.html").read_bytes())
    require_figures(report, folder / "build")
    records = {record for record, *_ in report.figures}
    assert records >= {"check.json", "lenet5-int8.json", "firmware/microbit/manifest.json", "bench/microbit.json"}
    assert "recognises" in outcome.stdout
