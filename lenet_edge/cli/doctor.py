"""`lenet-edge doctor`."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from lenet_edge.cli import common


@click.command()
@common.json_option
def doctor(as_json: bool) -> None:
    """Say what is installed, what is missing, and the command that gets it.

    Nothing of it is needed for everything: the boards' part shows which boards can be built and
    emulated as it is.
    """
    from lenet_edge.engines import ENGINES
    from lenet_edge.errors import MissingToolError
    from lenet_edge.hardware import boards, tools

    found = []
    for name, engine in ENGINES.items():
        try:
            found.append(_entry("engine", name, engine.version(), engine.install_command()))
        except MissingToolError:
            found.append(_entry("engine", name, None, engine.install_command()))
    for name in tools.TOOLS:
        tool = tools.find(name, ask_version=True)
        found.append(_entry("tool", name, (tool.version or "found") if tool.found else None, tool.install))
    described = [boards.load(name) for name in boards.board_names()]
    ready = [
        {"name": board.name, "build": list(tools.can_build(board)), "emulate": list(tools.can_emulate(board))}
        for board in described
    ]
    result = {"found": found, "boards": ready}
    common.show(result, as_json=as_json, tables=lambda: _tables(result))


def _entry(kind: str, name: str, version: str | None, install: str) -> dict[str, Any]:
    return {"kind": kind, "name": name, "version": version, "install": install if version is None else None}


def _tables(result: dict[str, Any]) -> list[Table | str]:
    table = common.new_table("what is here", "", "name", "version, or the command that gets it", left=3)
    for entry in result["found"]:
        if entry["version"] is None:
            table.add_row(entry["kind"], entry["name"], f"missing: {entry['install']}", style="yellow")
        else:
            table.add_row(entry["kind"], entry["name"], entry["version"])
    boards = common.new_table("boards", "board", "build", "emulate", left=3)
    for board in result["boards"]:
        cells = [", ".join(board[way]) or "no: see `lenet-edge boards`" for way in ("build", "emulate")]
        boards.add_row(board["name"], *cells)
    return [table, boards]
