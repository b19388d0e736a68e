"""`lenet-edge check`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from lenet_edge.cli import common, confusion, picture_options
from lenet_edge.cli.check_subject import Checked, Subject
from lenet_edge.cli.check_tables import tables
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.places import require_place
from lenet_edge.cli.preparing import PrepareOptions, prepare_options
from lenet_edge.errors import CheckFailedError

if TYPE_CHECKING:
    from lenet_edge.engines import Engine
    from lenet_edge.hardware.boards import Board
    from lenet_edge.parity import Check
    from lenet_edge.records import CheckRecord


@click.command()
@common.model_option(common.INT8_MODEL, "int8 model to check")
@common.inputs_option
@picture_options.transpose_option
@prepare_options
@click.option(
    "--float",
    "float_model",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The float model to compare with.  [default: MODEL without -int8, ending in .safetensors]",
)
@click.option("--engine", "engines", multiple=True, metavar="NAME", help="Run only this engine; may be repeated.")
@click.option(
    "--board",
    "boards",
    type=common.BOARD,
    multiple=True,
    metavar="NAME",
    help="Also run this board's firmware; may be repeated.",
)
@common.emulator_option
@click.option(
    "--like",
    metavar="ENGINE",
    help="Pass if our C, the boards and this runtime, such as tflm, agree; with onnxruntime and litert-xnnpack our C "
    "takes their rounding. Others may differ as their own rounding says.",
)
@click.option("--require-all", is_flag=True, help="An engine that is not installed is a failure (for CI).")
@click.option(
    "--max-drop",
    type=common.POINTS,
    default=common.MAX_DROP,
    show_default=True,
    metavar="POINTS",
    help="The most accuracy that int8 may lose against the float model, in percentage points.",
)
@common.image_count_option
@click.option(
    "--exports",
    type=click.Path(path_type=Path),
    default=Path("build"),
    show_default=True,
    metavar="DIR",
    help="Where `export` left its folders, and `build` its firmware/: whatever there is of this model is checked.",
)
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Also write JUnit XML, for CI.")
@click.option(
    "--summary",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write the verdict in Markdown, for the page of a CI run or a comment.",
)
@confusion.sheet_option
@common.out_option("build/check.json")
@common.json_option
def check(
    model: Path,
    data: str,
    transpose: bool | None,
    prepare: PrepareOptions,
    float_model: Path | None,
    engines: tuple[str, ...],
    boards: tuple[Board, ...],
    emulator: str,
    like: str | None,
    require_all: bool,
    max_drop: float,
    image_count: int | None,
    exports: Path,
    junit: Path | None,
    summary: Path | None,
    sheet: Path | None,
    out: Path | None,
    as_json: bool,
) -> CheckRecord:
    """Run every engine on the whole test set and compare every logit.

    An engine that is not installed is named and left out. The check passes when no logit of any engine
    differs from the reference, TFLM and a LiteRT engine ran, and int8 loses no more than --max-drop
    points against the float model. With --board the firmware that `build` left is an engine too, and gets
    every image over its UART; if there is none for this model, it is built first.

    With --like, that runtime, the exported C and the boards must agree, and no float model is needed. The other
    engines may differ only as their own rounding predicts, where it is known. With onnxruntime and
    litert-xnnpack the reference, the C and the boards round as that runtime does.
    """
    from lenet_edge.engines import board_engine
    from lenet_edge.hardware.session import macs_of

    chosen, out = _engines(engines, like), _placed(out)
    _refuse_unused(data, boards, [engine.artefact for engine in chosen.values()])
    subject = Subject.read(model, data, image_count, exports, transpose=transpose, prepare=prepare, like=like)
    chosen |= dict(board_engine(board, emulator, macs=macs_of(subject.model)) for board in boards)
    checked = subject.check(chosen, boards, float_model, max_drop=max_drop, require_all=require_all, like=like)
    _write(out, checked, junit, summary)
    record, shown, more = checked.record, confusion.shown(checked.answers, sheet), _figures(subject, checked.result)
    common.show(record.content(), as_json=as_json, tables=lambda: [*shown, *tables(record), *more])
    if not record.passed:
        raise CheckFailedError("; ".join(record.problems), record)
    return record


def _placed(out: Path | None) -> Path:
    """Where the record goes, which can be written there."""
    place = out or Path("build/check.json")
    require_place(place)
    return place


def _engines(chosen: Sequence[str], like: str | None) -> dict[str, Engine]:
    """The chosen engines, or all, with the runtime that `--like` names."""
    from lenet_edge.cli.artefacts import engine_names
    from lenet_edge.engines import ENGINES

    return {name: ENGINES[name] for name in _with_like(like, engine_names(chosen))}


def _with_like(like: str | None, names: Sequence[str]) -> list[str]:
    """The engines, with the runtime that `--like` names, and our C.

    Raises:
        click.UsageError: it is not another project's runtime.
    """
    from lenet_edge.cli.artefacts import engine_names
    from lenet_edge.engines import ENGINES
    from lenet_edge.records import OUR_C

    if like is None:
        return list(names)
    refuse_given("with --like, which needs no float model", "float_model", "max_drop")
    (runtime,) = engine_names((like,))
    if not ENGINES[runtime].artefact.startswith(("tflite", "onnx")):
        raise click.UsageError(f"--like takes another project's runtime, such as tflm; {runtime} is our own")
    return [name for name in ENGINES if name in (*names, runtime, OUR_C)]


def _refuse_unused(data: str, boards: tuple[Board, ...], artefacts: list[str]) -> None:
    """Refuse options for what is not asked for."""
    if not boards:
        refuse_given("without --board", "emulator")
    if data == "noise":
        refuse_given("with --data noise, which has no labels to compare with", "float_model", "max_drop")
    if not boards and not any(artefact.startswith(("onnx", "c")) for artefact in artefacts):
        refuse_given("with these engines: none of them runs an exported file", "exports")


def _write(out: Path, checked: Checked, junit: Path | None, summary: Path | None) -> None:
    from lenet_edge.files import write_file
    from lenet_edge.records import write_check
    from lenet_edge.report import check_to_markdown, to_junit

    write_check(out, checked.record)
    if junit is not None:
        write_file(junit, to_junit(checked.result).encode())
    if summary is not None:
        write_file(summary, check_to_markdown(checked.record).encode())


def _figures(subject: Subject, result: Check) -> list[Table | str]:
    """The range of outputs that are not classes."""
    from lenet_edge.quantized.meaning import meaning_of

    meaning = meaning_of(subject.model)
    if meaning.kind != "values" or result.logits is None:
        return []
    found = meaning.figures(result.logits, subject.tests.images)
    error = "" if found.mean_error is None else f"; on average {found.mean_error:.6g} from the inputs"
    return [f"the outputs range from {found.low:.6g} to {found.high:.6g}{error}"]
