"""Instructions of an inference, per layer and processor, from the records in `benchmarks/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from canvas import WIDTH, Sheet

from lenet_edge.hardware import boards

__all__ = ["draw"]

RECORDS = Path(__file__).parents[2] / "benchmarks"
_SHADES = ("one", "two", "three", "four", "five")
_LEFT, _RIGHT, _ROW = 24, WIDTH - 24, 76


def draw() -> Sheet:
    """A bar for each processor, its layers to scale; cycles on their own scale."""
    rows = _rows()
    counted = [row for row in rows if row["unit"] == "instructions"]
    others = [row for row in rows if row["unit"] != "instructions"]
    layers = [layer["name"] for layer in rows[0]["layers"]]
    height = 122 + _ROW * len(rows) + 34 * bool(others)
    told = "; ".join(f"{', '.join(row['boards'])} ({row['core']}) {row['total']:,} {row['unit']}" for row in rows)
    sheet = Sheet("Instructions of one inference of LeNet-5", f"{told}. Layers: {_told(rows, layers)}.", height)
    sheet.text(_LEFT, 38, "One inference of LeNet-5", "ink bold large")
    _legend(sheet, 68, layers)
    y = _bars(sheet, 104, counted, "instructions, counted in an emulator")
    if others:
        _bars(sheet, y + 34, others, "cycles, in a simulator; on its own scale")
    return sheet


def _rows() -> list[dict[str, Any]]:
    """Records of boards that an emulator runs, fewest first; boards with the same counts are one row."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for path in sorted(RECORDS.glob("*-speed.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        board = boards.load(record["board"])
        if board.status != boards.RUNS:
            continue
        counts = tuple(layer["count"] for layer in record["layers"])
        row = rows.setdefault((record["unit"], counts), record | {"boards": [], "cores": []})
        row["boards"].append(board.name)
        row["cores"].append(board.cpu.core)
    for row in rows.values():
        row["core"] = ", ".join(_spelled(core) for core in sorted(set(row["cores"]), key=_by_number))
    return sorted(rows.values(), key=lambda row: (row["unit"] != "instructions", row["total"]))


def _by_number(core: str) -> tuple[int, str]:
    return len(core), core


def _spelled(core: str) -> str:
    """A core as its maker writes it."""
    if core.startswith("cortex-m"):
        return "Cortex-M" + core.removeprefix("cortex-m")
    return core.upper()


def _legend(sheet: Sheet, y: int, layers: list[str]) -> None:
    x = _LEFT
    for name, shade in zip(layers, _SHADES, strict=True):
        sheet.box(x, y - 11, 12, 12, shade)
        sheet.text(x + 18, y, name, "ink small")
        x += 46 + 9 * len(name)


def _bars(sheet: Sheet, y: int, rows: list[dict[str, Any]], unit: str) -> int:
    """Bars to one scale; where the next would begin."""
    sheet.text(_LEFT, y, unit, "muted small")
    largest = max(row["total"] for row in rows)
    for row in rows:
        sheet.text(_LEFT, y + 28, row["core"], "ink bold")
        sheet.text(_RIGHT, y + 28, f"{row['total']:,}", "ink end bold")
        x = float(_LEFT)
        for layer, shade in zip(row["layers"], _SHADES, strict=True):
            width = (_RIGHT - _LEFT) * layer["count"] / largest
            sheet.box(x, y + 36, width, 16, shade)
            x += width
        sheet.text(_LEFT, y + 68, ", ".join(row["boards"]), "muted small")
        y += _ROW
    return y


def _told(rows: list[dict[str, Any]], layers: list[str]) -> str:
    parts = []
    for index, name in enumerate(layers):
        counts = ", ".join(f"{row['core']} {row['layers'][index]['count']:,}" for row in rows)
        parts.append(f"{name}: {counts}")
    return "; ".join(parts)
