"""The notebook is committed as it should be: without outputs, of a form that Jupyter takes, all six functions in it."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from doc_pages import CHECKOUT
from notebooks import as_program, read_notebook

from lenet_edge import api

PATH = CHECKOUT / "examples" / "notebook" / "walk.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return read_notebook(PATH)


def test_it_has_the_fields_of_format_4_5_and_no_outputs(notebook):
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", each) for each in ids)
    for cell in notebook["cells"]:
        code = {"outputs", "execution_count"} if cell["cell_type"] == "code" else set()
        assert set(cell) == {"cell_type", "id", "metadata", "source"} | code
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert not cell["metadata"]


def test_it_uses_every_function(notebook):
    program = as_program(notebook)
    compile(program, str(PATH), "exec")
    assert all(f"lenet_edge.{name}(" in program for name in api.FUNCTIONS)


def test_every_code_cell_has_its_words_before_it(notebook):
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    assert kinds[0] == "markdown"
    assert ("code", "code") not in pairwise(kinds)
