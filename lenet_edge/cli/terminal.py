"""Text on its way to the terminal: no markup, no control characters, and streams that are closed, full or not UTF-8."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

import click
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.style import StyleType
from rich.table import Column, Table
from rich.text import Text

from lenet_edge.errors import BadInputError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["PlainTable", "drop_stdout", "prepare_streams", "printable", "say", "write_stdout"]

# What moves the cursor, changes colours, reverses the direction, or is half a character. A line's end may stay.
_NOT_PRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_ANY_WIDTH = 10_000
_EDGES = 4  # characters beside the text of a table's only column
_PLAIN = str.maketrans(  # where the terminal's encoding lacks them
    {"×": "x", "−": "-", "±": "+-", **dict.fromkeys("█▉▊▋▌", "#"), **dict.fromkeys("▍▎▏", " ")}
)


def printable(text: str) -> str:
    """The text with what a terminal would obey, and what is not a character, as an escape such as ``\\x1b``."""
    return _NOT_PRINTABLE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def say(text: str) -> None:
    """A line on stderr."""
    if sys.stderr is not None:
        sys.stderr.write(printable(text) + "\n")
        sys.stderr.flush()


def write_stdout(text: str, *, as_json: bool = False) -> None:
    """All of a result, on stdout; JSON is UTF-8 whatever the terminal's encoding is.

    Raises:
        BadInputError: it cannot be written, as on a full disk; that nobody reads it any more is not an error.
    """
    try:
        if as_json:
            click.echo(text.encode(), nl=False)
        else:
            stdout = sys.stdout
            sys.stdout.write(text if _is_unicode(stdout) else text.translate(_PLAIN))
            sys.stdout.flush()
    except BrokenPipeError:  # `lenet-edge ... | head`: the reader has gone, but the verdict is still to come
        drop_stdout()
    except OSError as error:
        drop_stdout()
        raise BadInputError(f"the result cannot be written to stdout: {error.strerror or error}") from error


def _is_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().startswith("utf")


def drop_stdout() -> None:
    """Let what is still to be flushed go nowhere, or the interpreter complains at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class PlainTable(Table):
    """A table whose texts are shown as they are: Rich's own takes "[red]" in a name for a colour."""

    def __init__(self, title: str, spare: str = "") -> None:
        """A table without rows or columns; the column `spare` is left out where words would be cut otherwise."""
        super().__init__(title=Text(printable(title)), title_justify="left", header_style="bold", title_style="bold")
        self._spare = spare

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As Rich's; in a narrow terminal without the spare column, then in parts, so that nothing is cut."""
        everything, title = self.columns, self.title
        if self._span(console, options, everything).minimum > options.max_width:
            kept = [column for column in everything if str(column.header) != self._spare]
            for part in self._parts(console, options, kept):
                self.columns = part
                yield from super().__rich_console__(console, options)
                self.title = None
        else:
            yield from super().__rich_console__(console, options)
        self.columns, self.title = everything, title

    def _parts(self, console: Console, options: ConsoleOptions, columns: list[Column]) -> list[list[Column]]:
        """The columns that have room beside each other, each time behind the first one."""
        parts = [columns[:2]]
        for column in columns[2:]:
            if self._span(console, options, [*parts[-1], column]).minimum <= options.max_width:
                parts[-1].append(column)
            else:
                parts.append([columns[0], column])
        return parts if len(parts) == 1 else [self._with_widths(console, options, part) for part in parts]

    def _with_widths(self, console: Console, options: ConsoleOptions, columns: list[Column]) -> list[Column]:
        """Copies that have their width: each has its longest word's, the first ones more where there is room."""
        room = max(0, options.max_width - self._span(console, options, columns).minimum)
        copies = [copy.copy(column) for column in columns]
        for column in copies:
            span = self._span(console, options, [column])
            more = min(room, span.maximum - span.minimum)
            column.width = span.minimum + more - _EDGES
            room -= more
        return copies

    def _span(self, console: Console, options: ConsoleOptions, columns: list[Column]) -> Measurement:
        """How many characters of a line a table of these columns takes, where all cells are wrapped and where none."""
        before, self.columns = self.columns, columns
        span = Measurement.get(console, options.update_width(_ANY_WIDTH), self)
        self.columns = before
        return span

    def add_column(self, header: RenderableType = "", *arguments: Any, **options: Any) -> None:
        """As Rich's, with the header as it is."""
        super().add_column(_plain(header), *arguments, **options)

    def add_row(self, *cells: RenderableType | None, style: StyleType | None = None, end_section: bool = False) -> None:
        """As Rich's, with the cells as they are."""
        plain = (None if cell is None else _plain(cell) for cell in cells)
        super().add_row(*plain, style=style, end_section=end_section)


def _plain(cell: RenderableType) -> RenderableType:
    return Text(printable(cell)) if isinstance(cell, str) else cell


# --- streams --------------------------------------------------------------------------------------


def prepare_streams() -> None:
    """Make standard streams that one can write to.

    One that is closed (``>&-``) goes nowhere: else the next file that is opened would get its number, and our output.
    A character that the terminal's encoding lacks is escaped. What cannot be written to stderr is lost, and fails
    nothing; what cannot be written to stdout is an error.
    """
    for descriptor, mode in enumerate(("r", "w", "w")):
        with contextlib.suppress(OSError):
            os.fstat(descriptor)
            continue
        os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
        setattr(sys, ("stdin", "stdout", "stderr")[descriptor], open(descriptor, mode, closefd=False))  # noqa: SIM115
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = _forgiving(sys.stderr)
    for stream in _wrappers((sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")


def _wrappers(streams: Iterable[object]) -> list[io.TextIOWrapper]:
    return [stream for stream in streams if isinstance(stream, io.TextIOWrapper)]


class _Forgiving(io.FileIO):
    """A file descriptor; what cannot be written to it is lost."""

    def write(self, data: ReadableBuffer) -> int:
        try:
            return super().write(data) or 0
        except BlockingIOError:
            raise
        except OSError:
            return memoryview(data).nbytes


def _forgiving(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    raw = _Forgiving(stream.fileno(), "w", closefd=False)
    buffered = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffered, stream.encoding, "backslashreplace", line_buffering=True, write_through=True)
