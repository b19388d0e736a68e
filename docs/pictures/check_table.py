"""The table that `lenet-edge check` prints, as Rich draws it, from the record of a run."""

from __future__ import annotations

import io
from pathlib import Path
from xml.sax.saxutils import escape

from canvas import MONO
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from lenet_edge.cli.check import tables
from lenet_edge.records import CheckRecord, read_check

__all__ = ["RECORD", "draw"]

RECORD = Path(__file__).parent / "records" / "check.json"
COMMAND = "lenet-edge check --board microbit"
_COLUMNS = 78  # as narrow as its columns go: on a telephone every one counts
_THEME = TerminalTheme(
    (22, 27, 34),
    (230, 237, 243),
    [
        (72, 79, 88),
        (240, 119, 108),
        (92, 184, 127),
        (219, 166, 90),
        (108, 176, 224),
        (188, 140, 224),
        (86, 182, 194),
        (177, 186, 196),
    ],
)
# Rich's own code_format links fonts from outside; this one has its title and description, and no link. Its letters are
# 5 % larger, so that the table's lines meet in the fonts that are everywhere.
_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" \
role="img" aria-labelledby="title description">
<title id="title">TITLE</title>
<desc id="description">DESCRIPTION</desc>
<style>
.{unique_id}-matrix {{ font-family: MONO; font-size: 21px; line-height: {line_height}px; \
font-variant-east-asian: full-width }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: MONO }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def draw() -> str:
    """The SVG."""
    record = read_check(RECORD)
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), highlight=False, markup=False, emoji=False)
    for part in tables(record):
        console.print(part)
    code_format = _FORMAT.replace("TITLE", escape(f"What {COMMAND} prints"))
    code_format = code_format.replace("DESCRIPTION", escape(_told(record))).replace("MONO", MONO)
    return console.export_svg(title=COMMAND, theme=_THEME, code_format=code_format, unique_id="check")


def _told(record: CheckRecord) -> str:
    """The table in words."""
    engines = [engine for engine in record.engines if engine.status == "ran" and engine.name != "reference"]
    listed = ", ".join(f"{engine.name} {engine.logits_differ}" for engine in engines)
    return (
        f"Logits that differ from the integer reference on {record.images:,} images of {record.data}: {listed}. "
        f"{'Passed' if record.passed else 'Not passed'}."
    )
