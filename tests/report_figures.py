"""Reads the figures of a report out of its HTML, and looks up what the records say."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

from lenet_edge.formats import tflite
from lenet_edge.hardware import boards


class Reader(HTMLParser):
    """The figures of a report, and all elements."""

    def __init__(self, content):
        super().__init__()
        self.figures, self.tags, self.ids, self.text, self._open = [], [], [], "", None
        self.feed(content.decode())

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        if "data-record" in found:
            self._open = [found, ""]

    def handle_endtag(self, tag):
        if tag == "span" and self._open:
            self.figures.append(
                (self._open[0]["data-record"], self._open[0]["data-key"], self._open[0]["data-value"], self._open[1])
            )
            self._open = None

    def handle_data(self, data):
        self.text += data
        if self._open:
            self._open[1] += data


def looked_up(content, pointer):
    """The value at a JSON pointer, or at the same path of attributes."""
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(content, list | tuple):
            content = content[int(part)]
        elif isinstance(content, dict):
            content = content[part]
        else:
            content = getattr(content, part)
    return content


def recorded(folder, record, key):
    """What a record says under a key; a difference of two keys where there are two."""
    if record.startswith("targets/"):
        content = boards.load(record.removeprefix("targets/").removesuffix(".toml"))
    elif record.endswith(".tflite"):
        content = tflite.read(folder / record)
    else:
        content = json.loads((folder / record).read_text())
    first, *others = (looked_up(content, each) for each in key.split(" - "))
    return first - sum(others) if others else first


def number_in(shown):
    """The number in a text such as ``71.4 KB``, and by how much it may be rounded."""
    found = re.match(r"−?[\d,]+(\.\d+)?(e−?\d+)?", shown)
    text = found[0].replace(",", "").replace("−", "-")
    scale = 1024 if shown.endswith(" KB") else 0.01 if shown.endswith(" %") else 1
    digits = len(text.partition("e")[0].partition(".")[2])
    exponent = int(text.partition("e")[2] or 0)
    return float(text) * scale, 0.5000001 * scale * 10.0 ** (exponent - digits) if digits else 1e-9


def require_figures(report: Reader, folder: Path) -> None:
    """Every figure is that of its record, and what is shown is that value, rounded."""
    for record, key, value, shown in report.figures:
        wanted = recorded(folder, record, key)
        if isinstance(wanted, str):
            assert value == wanted, (record, key)
            assert shown == wanted or (len(wanted) > 36 and shown == f"{wanted[:9]}…{wanted[-26:]}"), (record, key)
        else:
            assert float(value) == wanted, (record, key)
            number, rounding = number_in(shown)
            assert abs(number - wanted) <= rounding, (record, key, shown)
