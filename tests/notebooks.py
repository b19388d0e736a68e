"""Notebooks as Jupyter would run them, without Jupyter."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

__all__ = ["as_program", "read_notebook"]


def read_notebook(path: Path) -> dict[str, Any]:
    """The notebook, of the format that its `nbformat` names."""
    found = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def as_program(notebook: dict[str, Any]) -> str:
    """Its code cells one after another; the value of a cell's last line is shown, as Jupyter shows it."""
    return "\n".join(_shown("".join(cell["source"])) for cell in notebook["cells"] if cell["cell_type"] == "code")


def _shown(source: str) -> str:
    tree = ast.parse(source)
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        tree.body[-1:] = ast.parse(f"if (shown := {ast.unparse(last.value)}) is not None:\n    print(shown)").body
    return ast.unparse(tree)
