"""The notebook, cell by cell, from its own pictures to the answers of an emulated board."""

from __future__ import annotations

import re

from doc_pages import CHECKOUT
from notebooks import as_program, read_notebook


def test_the_notebook_runs_to_its_end(run_cli, tmp_path):
    program = as_program(read_notebook(CHECKOUT / "examples" / "notebook" / "walk.ipynb"))
    done = run_cli(cwd=tmp_path, code=program)
    assert done.code == 0, done.stderr
    accuracies = [float(share) for share in re.findall(r"(?:float|int8|test accuracy) ([\d.]+) %", done.stdout)]
    assert len(accuracies) == 3
    assert min(accuracies) > 80
    counts = re.findall(r"(\d+) (?:disagreements|logits differ)", done.stdout)
    assert len(counts) > 10
    assert set(counts) == {"0"}
    answers = re.findall(r"^(\w+)/\d+\.png: (\w+) with", done.stdout, re.MULTILINE)
    assert [right for right, _ in answers] == 2 * ["circle", "cross", "square", "triangle"]
    assert sum(right == said for right, said in answers) >= 6
    assert "<PIL.Image.Image image mode=L size=384x96" in done.stdout
    assert (tmp_path / "build" / "arduino" / "manifest.json").is_file()
