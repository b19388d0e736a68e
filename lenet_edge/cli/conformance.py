"""`lenet-edge conformance`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from lenet_edge.cli import common
from lenet_edge.errors import BadInputError, CheckFailedError, MissingToolError

if TYPE_CHECKING:
    from lenet_edge.conformance import Case
    from lenet_edge.conformance.runs import Files, Result
    from lenet_edge.engines import Absent, Engine
    from lenet_edge.hardware.boards import Board
    from lenet_edge.quantized.model import QuantizedModel

_DEFAULT = Path("build/conformance")
_ALL = "all"
_UNABLE = "pytorch"  # it runs the weights that `quantize` trains, and no file
_COUNTS = ("right", "wrong", "failed", "left out", "integers")
_ON_A_BOARD = 8  # cases at once; half as many where they do not fit
_SHOWN = 20  # findings of an engine in the table's lines; JSON has all


@click.command()
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="ENGINE|all|board:NAME",
    help="Run the cases on this engine of `check`, on all that are installed, or on a board in its emulator "
    "(board:NAME/EMULATOR names which); may be given several times.",
)
@click.option("--case", "chosen", multiple=True, metavar="NAME", help="Only this case; may be given several times.")
@common.out_option("build/conformance/, or nothing with --run", folder=True)
@common.json_option
def conformance(runs: tuple[str, ...], chosen: tuple[str, ...], out: Path | None, as_json: bool) -> dict[str, object]:
    """Find out whether a runtime's int8 kernels are right.

    Writes small tie-free models as .tflite and .onnx, inputs, and the integers that every correct runtime
    gives, with a harness in C and one in Python. However a runtime rounds, on these models there is one right
    answer: any difference is a bug, and no tolerance is needed.

    With --run the engines that are installed here, or boards, run the cases; exit code 1 if any integer differs.
    """
    from lenet_edge.conformance import cases

    wanted = _chosen(cases(), chosen)
    report: dict[str, object] = {"cases": len(wanted)}
    if out is not None or not runs:
        report |= _written(wanted, out or _DEFAULT)
    results = [_run(name, wanted) for name in _names(runs)]
    report |= {"engines": [result.content() for result in results]} if runs else {}
    common.show(report, as_json=as_json, tables=lambda: _tables(report, results))
    wrong = [result.engine for result in results if result.status == "ran" and not result.passed]
    if wrong:
        raise CheckFailedError(f"not all cases are right: {', '.join(wrong)}", report)
    absent = [result for result in results if result.status != "ran" and _is_named(result, runs)]
    if absent or (results and all(result.status != "ran" for result in results)):
        why = "; ".join(f"{result.engine}: {result.message}" for result in absent or results)
        raise MissingToolError(f"it did not run: install with {why}")
    return report


def _chosen(known: list[Case], names: Sequence[str]) -> list[Case]:
    missing = set(names) - {case.name for case in known}
    if missing:
        raise click.UsageError(f"there is no case {sorted(missing)[0]!r}; `cases.json` of the kit lists them")
    return [case for case in known if not names or case.name in names]


def _written(cases: Sequence[Case], out: Path) -> dict[str, object]:
    from lenet_edge.conformance.kit import kit_files
    from lenet_edge.files import write_files

    contents = kit_files(cases)
    if not (out / "cases.json").exists():  # of a kit that is renewed
        for name in contents:
            if os.path.lexists(out / name):
                raise BadInputError(
                    f"{out} is no conformance kit and has its own {name}; choose another folder with --out"
                )
    write_files(out, contents)
    return {"out": str(out), "files": len(contents), "bytes": sum(map(len, contents.values()))}


def _is_named(result: Result, runs: Sequence[str]) -> bool:
    """Whether it was asked for by its own name: then it has to run."""
    return any(result.engine == name or result.engine.startswith(f"{name}/") for name in runs)


# --- engines and boards ---------------------------------------------------------------------------


def _names(runs: Sequence[str]) -> list[str]:
    """The engines and boards, each once, in the order in which they were named.

    Raises:
        click.UsageError: there is no such engine.
    """
    from lenet_edge.cli.artefacts import engine_names

    found: list[str] = []
    for name in runs:
        if name == _UNABLE:
            raise click.UsageError(f"{_UNABLE} runs the networks that `quantize` trains, and no files")
        if name.startswith("board:"):
            found.append(name)
        else:
            found += [each for each in engine_names(() if name == _ALL else (name,)) if each != _UNABLE]
    return list(dict.fromkeys(found))


def _run(name: str, cases: Sequence[Case]) -> Result:
    from lenet_edge.conformance.runs import run_engine

    common.log(f"running {len(cases)} cases on {name} ...")
    engine, files = _board(name) if name.startswith("board:") else _engine(name)
    return run_engine(
        engine[0], engine[1], cases, files, at_once=_ON_A_BOARD if name.startswith("board:") else len(cases)
    )


def _engine(name: str) -> tuple[tuple[str, Engine], Files]:
    from lenet_edge.engines import ENGINES

    return (name, ENGINES[name]), partial(_made, kind=ENGINES[name].artefact)


@contextmanager
def _made(model: QuantizedModel, kind: str) -> Iterator[Path | Absent]:
    """The file of that kind; none that a user exported is looked for."""
    from lenet_edge.cli.artefacts import Artefacts
    from lenet_edge.files import temporary_folder
    from lenet_edge.formats import tflite

    with (
        temporary_folder() as nothing,
        Artefacts(Path("model.tflite"), model, tflite.to_bytes(model), nothing, kinds=[kind]) as made,
    ):
        yield made[kind]


def _board(name: str) -> tuple[tuple[str, Engine], Files]:
    from lenet_edge.engines import board_engine
    from lenet_edge.hardware import boards

    board_name, _, emulator = name.removeprefix("board:").partition("/")
    board = boards.load(board_name)
    return board_engine(board, emulator or "auto"), partial(_firmware, board=board)


@contextmanager
def _firmware(model: QuantizedModel, board: Board) -> Iterator[Path | Absent]:
    from lenet_edge.engines import Absent
    from lenet_edge.files import temporary_folder
    from lenet_edge.hardware import firmware

    with temporary_folder() as folder:
        try:
            firmware.build(model, board, folder)
        except BadInputError as error:  # too large for it, or nothing to compute
            yield Absent(str(error))
        else:
            yield folder


# --- shown ----------------------------------------------------------------------------------------


def _tables(report: dict[str, object], results: Sequence[Result]) -> list[Table | str]:
    shown: list[Table | str] = []
    if "out" in report:
        shown.append(f"{report['out']}: {report['cases']} cases, {report['files']} files, {report['bytes']:,} bytes")
    if not results:
        return shown
    table = common.new_table("conformance", "engine", "version", *_COUNTS, left=2)
    for result in results:
        table.add_row(*_row(result))
    lines = [f"{result.engine}: {line}" for result in results for line in _lines(result)]
    return [*shown, table, *lines]


def _row(result: Result) -> Sequence[str]:
    if result.status != "ran":
        return result.engine, f"absent: {result.message}", "", "", "", "", ""
    counts = [sum(item.status == status for item in result.findings) for status in ("wrong", "failed", "left out")]
    return (
        result.engine,
        result.version or "",
        str(result.right),
        *map(str, counts),
        f"{result.outputs:,}",
    )


def _lines(result: Result) -> list[str]:
    lines = [finding.said() for finding in result.findings]
    more = [f"and {len(lines) - _SHOWN} more: --json has all"] if len(lines) > _SHOWN else []
    return [*lines[:_SHOWN], *more]
