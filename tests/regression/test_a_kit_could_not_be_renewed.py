"""`conformance --out DIR` refused a folder that was there, its own kit too, and took a README.md for its own."""

import os

import pytest
from click.testing import CliRunner

from lenet_edge.cli import cli
from lenet_edge.errors import BadInputError

CASE = ("conformance", "--case", "add-equal", "--out")


def files_in(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_that_is_there_and_a_kit_that_is_renewed(tmp_path):
    (tmp_path / "mine.py").write_text("pass")
    for _ in range(2):
        done = CliRunner().invoke(cli, [*CASE, str(tmp_path)])
        assert done.exit_code == 0, done.output + repr(done.exception)
        (tmp_path / "README.md").write_text("of an older kit")
    assert (tmp_path / "mine.py").read_text() == "pass"
    CliRunner().invoke(cli, [*CASE, str(tmp_path)])
    assert "Conformance kit" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("name", ["README.md", "conformance.h", "cases/add-equal/model.onnx"])
def test_what_somebody_has_there_stays(name, tmp_path):
    os.makedirs((tmp_path / name).parent, exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = files_in(tmp_path)
    done = CliRunner().invoke(cli, [*CASE, str(tmp_path)])
    assert isinstance(done.exception, BadInputError)
    assert f"{tmp_path} is no conformance kit and has its own {name}" in str(done.exception)
    assert files_in(tmp_path) == before
