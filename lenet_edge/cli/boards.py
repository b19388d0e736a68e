"""`lenet-edge boards`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import click
from rich.table import Table

from lenet_edge.cli import common

if TYPE_CHECKING:
    from lenet_edge.hardware.boards import Board
    from lenet_edge.hardware.tools import Tool

_WAYS = ("build", "emulate", "flash")


class BoardFacts(TypedDict):
    """A board in what `--json` prints."""

    name: str
    title: str
    core: str
    arch: str
    flash_bytes: int
    ram_bytes: int
    status: str
    build: list[str]
    emulate: list[str]
    flash_tool: str | None
    missing: list[str]


@click.command()
@common.json_option
def boards(as_json: bool) -> None:
    """List the boards, and what this machine can do for each.

    Firmware is built by GCC or zig, emulated by Unicorn, QEMU or simavr, and flashed by the board's own
    tool; one of each is enough. For what is missing, the command that installs it is shown. If the
    status is "builds, not run on hardware", no emulator has the microcontroller: Unicorn then runs
    the firmware on the core alone, with a model of the UART.
    """
    from lenet_edge.hardware.boards import board_names, load

    found = [_facts(load(name)) for name in board_names()]
    result = {"boards": [facts for facts, _ in found]}
    common.show(result, as_json=as_json, tables=lambda: _tables(found))


def _facts(board: Board) -> tuple[BoardFacts, list[str]]:
    """What JSON says of a board, and the table's cells for what can be done with it."""
    from lenet_edge.hardware import tools

    needed = {way: tools.needed(board, way) for way in _WAYS}
    ready = {"build": tools.can_build(board), "emulate": tools.can_emulate(board), "flash": tools.can_flash(board)}
    missing = [tool.install for way in _WAYS for tool in needed[way] if not tool.found]
    facts: BoardFacts = {
        "name": board.name,
        "title": board.title,
        "core": board.cpu.core,
        "arch": board.cpu.arch,
        "flash_bytes": board.flash.size_bytes,
        "ram_bytes": board.ram.size_bytes,
        "status": board.status,
        "build": list(ready["build"]),
        "emulate": list(ready["emulate"]),
        "flash_tool": None if board.flash_tool is None else board.flash_tool.tool,
        "missing": list(dict.fromkeys(missing)),
    }
    return facts, [_cell(ready[way], needed[way]) for way in _WAYS]


def _cell(ready: tuple[str, ...], needed: tuple[Tool, ...]) -> str:
    """What is ready, else what one could install for it."""
    if ready or not needed:
        return ", ".join(ready)
    return "needs " + " or ".join(tool.name for tool in needed if not tool.found)


def _tables(found: list[tuple[BoardFacts, list[str]]]) -> list[Table | str]:
    table = common.new_table("boards", "board", "core", "flash", "RAM", *_WAYS, "status")
    for column in (1, 4, 5, 6, 7):
        table.columns[column].justify = "left"
    for facts, ways in found:
        sizes = (f"{size / 1024:,g} KB" for size in (facts["flash_bytes"], facts["ram_bytes"]))
        table.add_row(facts["name"], facts["core"], *sizes, *ways, facts["status"])
    missing = dict.fromkeys(command for facts, _ in found for command in facts["missing"])
    return [table, *(["for what is missing:", *(f"  {command}" for command in missing)] if missing else [])]
