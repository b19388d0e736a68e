"""The board of the tutorial: its file, as it stands there, builds and runs with every logit right."""

from __future__ import annotations

import json

import pytest
import workbench
from doc_pages import DOCS, titled


@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
def test_the_tutorials_board_runs(cli, toolchain):
    workbench.need("nucleo-f446re", toolchain, "unicorn")
    (cli.folder / "mine.toml").write_text(titled(DOCS / "tutorials" / "your-own-board.md", "mine.toml"))
    done = cli("build", "--board", "./mine.toml", "--model", cli.model, "--toolchain", toolchain, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["board"] == "mine"
    data = workbench.data_folder(cli.folder / "data", 5)
    done = cli("run", "--board", "./mine.toml", "--model", cli.model, "--data", data, "--images", 5, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["emulator"], len(found["images"]), found["logits_differ"]) == ("unicorn", 5, 0)
