"""`lenet-edge doctor`."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distributions
from importlib.metadata import version as package_version
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

import click
from rich.table import Table

from lenet_edge.cli import common


class Entry(TypedDict):
    """A thing that is here, or not; one that is not has the command that gets it, and no version."""

    kind: str
    name: str
    version: str | None
    install: str | None


class Ready(TypedDict):
    """What can build and emulate a board as it is."""

    name: str
    build: list[str]
    emulate: list[str]


class Diagnosis(TypedDict):
    """What `--json` prints."""

    found: list[Entry]
    boards: list[Ready]


_CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # PyTorch's own, as in the Makefile


@click.command()
@common.json_option
def doctor(as_json: bool) -> None:
    """Say what is installed, what is missing, and how to get it here.

    You do not need all of it: the part on boards shows which of them you can build for and emulate
    already.
    """
    from lenet_edge.engines import ENGINES
    from lenet_edge.errors import MissingToolError
    from lenet_edge.hardware import boards, tools

    found = _torch_build()
    for name, engine in ENGINES.items():
        try:
            found.append(_entry("engine", name, engine.version(), engine.install_command()))
        except MissingToolError:
            found.append(_entry("engine", name, None, engine.install_command()))
    for name in tools.TOOLS:
        tool = tools.find(name, ask_version=True)
        found.append(_entry("tool", name, (tool.version or "found") if tool.found else None, tool.install))
    described = [boards.load(name) for name in boards.board_names()]
    ready: list[Ready] = [
        {"name": board.name, "build": list(tools.can_build(board)), "emulate": list(tools.can_emulate(board))}
        for board in described
    ]
    result: Diagnosis = {"found": found, "boards": ready}
    common.show(result, as_json=as_json, tables=lambda: _tables(result))


def _entry(kind: str, name: str, version: str | None, install: str) -> Entry:
    from lenet_edge.hardware import tools

    return {"kind": kind, "name": name, "version": version, "install": tools.here(install) if version is None else None}


def _torch_build() -> list[Entry]:
    """A line if torch is the build for CUDA, as PyPI has it for Linux; nothing if it is another build, or missing.

    torch says so in a file of its own, which is read because importing torch takes seconds.
    """
    spec = find_spec("torch")
    try:
        text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8") if spec and spec.origin else ""
        version = package_version("torch").partition("+")[0]
    except (OSError, ValueError, PackageNotFoundError):
        return []
    cuda = re.search(r"^cuda\b.*=\s*['\"]([\d.]+)['\"]", text, re.MULTILINE)
    if cuda is None:
        return []
    from lenet_edge.hardware import tools

    names = {str(each.metadata["Name"]).lower() for each in distributions()}
    extra = sorted(name for name in names if name == "triton" or name.startswith(("nvidia-", "cuda-")))
    pip = tools.here("pip install").removesuffix(" install")
    command = (
        f"{pip} uninstall -y {' '.join(['torch', *extra])} && {pip} install torch=={version} --index-url {_CPU_INDEX}"
    )
    note = f"{version} for CUDA {cuda[1]}: 5.5 GB, against 1.8 GB without CUDA (the whole environment). Without a GPU: "
    return [_entry("package", "torch", note + command, "")]


def _tables(result: Diagnosis) -> list[Table | str]:
    table = common.new_table("what is here", "", "name", "version, or the command that gets it", left=3)
    for entry in result["found"]:
        if entry["version"] is None:
            table.add_row(entry["kind"], entry["name"], f"missing: {entry['install']}", style="yellow")
        else:
            table.add_row(entry["kind"], entry["name"], entry["version"])
    boards = common.new_table("boards", "board", "build", "emulate", left=3)
    for board in result["boards"]:
        cells = [", ".join(ways) or "no: see `lenet-edge boards`" for ways in (board["build"], board["emulate"])]
        boards.add_row(board["name"], *cells)
    return [table, boards]
