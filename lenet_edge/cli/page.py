"""`lenet-edge page`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from lenet_edge.cli import common
from lenet_edge.cli.options import given, refuse_given
from lenet_edge.cli.page_serving import ServeOptions, serve_options
from lenet_edge.errors import BadInputError, MissingToolError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lenet_edge.cli.page_examples import Subject
    from lenet_edge.records import CheckRecord
    from lenet_edge.report.page import Example, Shown

_RECORD = Path("build/check.json")
_OUT = Path("build/page.html")


@click.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    type=click.Path(path_type=Path),
    default=(common.INT8_MODEL,),
    metavar="FILE",
    help=f"An int8 model; several stand side by side.  [default: {common.INT8_MODEL}]",
)
@click.option(
    "--data",
    metavar="NAME|DIR|FILE.npz",
    help="The data set whose test images are the examples.  [default: the one that `check` ran on]",
)
@click.option(
    "--examples",
    "example_count",
    type=click.IntRange(0, 200),
    metavar="N",
    help="How many example images, 0 for none.  [default: 10, fewer of large ones]",
)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="NAME",
    help="Run the examples on this engine of `check`; may be repeated.  [default: those that `check` ran]",
)
@click.option(
    "--check",
    "record_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"The record of `check` that says so.  [default: {_RECORD}]",
)
@common.out_option(str(_OUT))
@serve_options
@common.json_option
def page(
    models: tuple[Path, ...],
    data: str | None,
    example_count: int | None,
    engines: tuple[str, ...],
    record_path: Path | None,
    out: Path | None,
    serving: ServeOptions,
    as_json: bool,
) -> None:
    """Write a page to draw on: the model's C says what it sees.

    OUT is one HTML file that needs no network: the C that `export --target c` writes, with le_prepare,
    compiled to WebAssembly. It reads what you draw with mouse, finger or stylus, pictures and the camera, and
    shows the probabilities, the int8 input and the output of every layer. For the example images it shows
    the outputs of other engines, too, which run them now.

    With --serve, the browser of this machine gets the page from a server, which lets it use the camera. With
    --board or --port the chip is asked, too, and its outputs for what you draw stand beside the browser's: its
    firmware is that of the first --model. A board that is lost is found again by itself. Only the printed
    address, which has a token, opens the page.
    """
    serving.refuse_unused()
    _require_packages(*(("aiohttp",) if serving.serve else ()))
    subjects = _subjects(models)
    record = _record(record_path)
    if example_count == 0:
        refuse_given("with --examples 0: there is nothing to run", "data", "engines", "record_path")
    names = _engine_names(engines)
    board = serving.wanted(subjects[0].model)
    examples, images, source = _examples(subjects, data, example_count, record)
    if not examples:
        refuse_given("without example images; name a data set with --data", "engines")
    found = _shown(subjects, images, names, record)
    target = out or _OUT
    content = _write(target, found, examples, source)

    def show(address: str | None = None) -> None:
        result = _result(target, address, content, source, found)
        common.show(result, as_json=as_json, tables=lambda: _tables(result))

    serving.run(content, board, show) if serving.serve else show()


def _require_packages(*others: str) -> None:
    """Refuse before the work what the last step would lack."""
    missing = [package for package in ("jinja2", "ziglang", *others) if find_spec(package) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise MissingToolError(
            f"{' and '.join(missing)} {verb} not installed. Install with: pip install 'lenet-edge[page]'"
        )


def _subjects(paths: Sequence[Path]) -> list[Subject]:
    """The models, each called by its file's name, or by its path where two have the same."""
    from lenet_edge.cli.page_examples import Subject
    from lenet_edge.formats import int8_models
    from lenet_edge.report.page import require_images

    stems = [path.stem for path in paths]
    subjects = []
    for path in paths:
        model, content = int8_models.load(path)
        require_images(model, str(path))
        subjects.append(Subject(path, path.stem if stems.count(path.stem) == 1 else str(path), model, content))
    twice = {subject.model.fingerprint for subject in subjects}
    if len(twice) < len(subjects):
        raise BadInputError("two of the models are the same; name each once")
    return subjects


def _record(path: Path | None) -> CheckRecord | None:
    from lenet_edge.records import read_check

    if path is not None:
        return read_check(path)
    try:
        return read_check(_RECORD) if _RECORD.exists() else None
    except BadInputError as error:
        common.log(f"{error}; going on without it")
        return None


def _engine_names(engines: tuple[str, ...]) -> tuple[str, ...]:
    """Those that were named, the reference first; empty where none was."""
    if not engines:
        return ()
    from lenet_edge.cli.artefacts import engine_names

    return engine_names(("reference", *engines), with_reference=True)


def _examples(
    subjects: Sequence[Subject], data: str | None, count: int | None, record: CheckRecord | None
) -> tuple[list[Example], list[npt.NDArray[np.int8]], str]:
    """The examples, the inputs of each model, and the name of the data set; nothing where there is none to take."""
    import numpy as np

    from lenet_edge.cli.page_examples import data_of, examples_of

    nothing: tuple[list[Example], list[npt.NDArray[np.int8]], str] = (
        [],
        [np.empty((0, *subject.model.input.shape), np.int8) for subject in subjects],
        "",
    )
    source = data or (None if count == 0 else data_of(subjects, record))
    if source is None:
        if count != 0:
            common.log("no example images: name a data set with --data")
        return nothing
    try:
        return (*examples_of(subjects, source, count), source)
    except BadInputError as error:
        if given("data"):
            raise
        common.log(f"no example images: {error}. Name a data set with --data")
        return nothing


def _shown(
    subjects: Sequence[Subject],
    images: Sequence[npt.NDArray[np.int8]],
    names: tuple[str, ...],
    record: CheckRecord | None,
) -> list[Shown]:
    from lenet_edge.cli.page_examples import engines_of, shown

    found = []
    for subject, each in zip(subjects, images, strict=True):
        if len(each):
            common.log(f"running {len(each)} examples of {subject.path}")
        found.append(shown(subject, each, names or engines_of(subject, record), named=bool(names)))
    return found


def _write(target: Path, models: Sequence[Shown], examples: Sequence[Example], data: str) -> bytes:
    from lenet_edge.files import write_file
    from lenet_edge.report.page import page as page_of

    common.log("compiling to WebAssembly")
    content = page_of(models, examples, Path(data).name)
    write_file(target, content)
    return content


def _result(target: Path, address: str | None, content: bytes, data: str, models: Sequence[Shown]) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "page": str(target),
        "address": address,
        "bytes": len(content),
        "data": data or None,
        "examples": len(models[0].images),
        "models": [_facts(each) for each in models],
    }


def _facts(shown: Shown) -> dict[str, Any]:
    """What `--json` says of a model; of each engine the logits in which it differs from the reference."""
    from lenet_edge.quantized.reference import run

    expected = run(shown.model, shown.images)
    differ = {engine.name: int((engine.logits != expected).sum()) for engine in shown.engines}
    return {"model": shown.name, "fingerprint": shown.model.fingerprint, "logits_differ": differ}


def _tables(result: dict[str, Any]) -> list[Table | str]:
    table = common.new_table(f"{result['page']}: {result['bytes']:,} bytes", "model", "fingerprint", "engines", left=3)
    for each in result["models"]:
        engines = ", ".join(
            f"{name} ({count} logits differ)" if count else name for name, count in each["logits_differ"].items()
        )
        table.add_row(each["model"], each["fingerprint"][:16], engines or "none")
    source = f" of {result['data']}" if result["data"] else ""
    examples = f"{result['examples'] or 'no'} example images{source}"
    return [table, f"{examples}. {_how_to_open(result['address'])}"]


def _how_to_open(address: str | None) -> str:
    return "Open the file in a browser; it needs no network." if address is None else f"Open {address} (Ctrl-C ends it)"
