"""`lenet-edge data`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from lenet_edge.cli import common
from lenet_edge.cli.picture_options import picture_options, request_of, transpose_option, transposes
from lenet_edge.errors import CheckFailedError

if TYPE_CHECKING:
    from lenet_edge.datasets.inspection import Inspection
    from lenet_edge.preparation import Crop

_COLUMNS = 8
_MOST_TILES = 1_600
_NAMED = 3  # of many, in the table; JSON has up to _LISTED
_LISTED = 1_000


@click.command()
@click.argument("data", metavar="NAME|DIR|FILE.npz")
@transpose_option
@picture_options
@common.out_option("build/NAME-data.png")
@common.json_option
def data(
    data: str,
    transpose: bool | None,
    size: tuple[int, int] | None,
    colour: bool | None,
    crop: Crop | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Look at a data set before you train on it.

    Shows the classes with their images on each side of the split, and what may be wrong: files that cannot be
    read, copies, the same image in two classes or in training and test, images that show nothing, classes of
    very different size, and both dark on bright and bright on dark. Draws some images of each class, as the
    network will see them, into OUT. Exit code 1 if `train` would refuse the data set.
    """
    from lenet_edge import datasets
    from lenet_edge.files import write_file
    from lenet_edge.report.sheet import draw_sheet

    asked, transpose = request_of(size, colour, crop), transposes(data, transpose)
    found = datasets.inspect(data, asked, transpose=transpose, progress=common.log)
    out = out or Path("build") / f"{_file_name(data)}-data.png"
    write_file(out, draw_sheet(_tiles(found), f"{Path(data).name or data}: as the network sees it", columns=_COLUMNS))
    result = _content(found) | {"out": str(out)}
    common.show(result, as_json=as_json, tables=lambda: _tables(found, data, out))
    if found.refused:
        raise CheckFailedError(found.refused)


def _file_name(data: str) -> str:
    """The last part of the path, in characters that every file system takes."""
    name = Path(data).resolve().name
    return re.sub(r"[^\w.-]", "_", name.removesuffix(".npz")).lstrip("-.")[:60] or "data"


def _tiles(found: Inspection) -> list[Any]:
    """Some images of each class, a row for each, which empty squares fill up."""
    import numpy as np

    from lenet_edge.report.sheet import Tile

    columns = max(1, min(_COLUMNS, _MOST_TILES // len(found.class_names)))
    tiles, blank = [], Tile(np.full_like(found.images[0], 255), ("",))
    for label, name in enumerate(found.class_names):
        own = np.flatnonzero((found.labels == label) & (found.sides >= 0))
        chosen = own[np.linspace(0, len(own) - 1, min(columns, len(own))).astype(int)] if len(own) else own
        tiles += [Tile(found.images[index], (name,)) for index in chosen]
        if columns == _COLUMNS:
            tiles += [blank] * (columns - len(chosen))
    return tiles or [blank]  # of all images that were left out, the tables say why


def _content(found: Inspection) -> dict[str, Any]:
    from lenet_edge.preparation import to_json

    lists: dict[str, list[Any]] = {
        "duplicates": [list(group) for group in found.duplicates],
        "contradictions": [list(group) for group in found.contradictions],
        "across": list(found.across),
        "blank": list(found.blank),
        "unreadable": [{"file": file, "reason": why} for file, why in found.unreadable],
        "skipped": list(found.skipped),
    }
    return {
        "classes": [{"name": name, **found.counts(label)} for label, name in enumerate(found.class_names)],
        "preparation": to_json(found.preparation),
        "sizes": [{"width": w, "height": h, "pictures": n} for (w, h), n in found.sizes.most_common(_LISTED)],
        "imbalance": found.imbalance,
        "polarity": found.polarity,
        "refused": found.refused,
        "counts": {name: len(items) for name, items in lists.items()},
        **{name: items[:_LISTED] for name, items in lists.items()},
    }


def _tables(found: Inspection, data: str, out: Path) -> list[Table | str]:
    table = common.new_table(data, "class", "to learn from", "validation", "test")
    for label, name in enumerate(found.class_names):
        table.add_row(name, *(f"{count:,}" for count in found.counts(label).values()))
    settings = found.preparation
    kind = "grey" if settings.channels == 1 else "colour"
    lines: list[Table | str] = [table, f"images of {settings.width}×{settings.height}, {kind}; {found.polarity}"]
    if found.sizes:
        shown = ", ".join(f"{count:,} of {w}×{h}" for (w, h), count in found.sizes.most_common(_NAMED))
        lines.append(f"pictures: {shown}{', ...' if len(found.sizes) > _NAMED else ''}")
    return [*lines, *_faults(found), f"{out}: some images of each class"]


def _faults(found: Inspection) -> list[str]:
    from lenet_edge.datasets.inspection import UNEVEN

    done = " (left out)" if found.sizes else " (kept)"
    learnt = [found.counts(label)["fit"] for label in range(len(found.class_names))]
    groups = (
        ("classes have no image to learn from", [n for n, c in zip(found.class_names, learnt, strict=True) if not c]),
        ("files cannot be read (left out)", [why for _, why in found.unreadable]),
        ("entries of the folder are skipped", list(found.skipped)),
        ("images are there more than once in their class", [" = ".join(each[:_NAMED]) for each in found.duplicates]),
        (f"images are in two classes{done}", [" = ".join(each[:_NAMED]) for each in found.contradictions]),
        (f"training images are also in the test set{done}", list(found.across)),
        ("images show nothing", list(found.blank)),
    )
    lines = [
        f"{len(items):,} {what}: {'; '.join(items[:_NAMED])}{'; ...' if len(items) > _NAMED else ''}"
        for what, items in groups
        if items
    ]
    if not found.sizes and (found.across or found.contradictions):
        lines.append("images of arrays are never left out: copies of training images make the accuracy look too good")
    if found.imbalance > UNEVEN:
        lines.append(
            f"the largest class has {found.imbalance:.1f} times the images of the smallest: see `train --class-weights`"
        )
    if found.polarity == "mixed":
        lines.append("some images are dark on bright, others bright on dark: the model must see both in use, too")
    return lines or ["no faults were found"]
