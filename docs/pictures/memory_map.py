"""What a board's firmware takes of its flash and RAM, from the record of `lenet-edge build`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from canvas import WIDTH, Sheet

from lenet_edge.hardware import boards

__all__ = ["RECORD", "draw"]

RECORD = Path(__file__).parent / "records" / "build.json"
_LEFT, _RIGHT, _BAR = 24, WIDTH - 24, 34


@dataclass(frozen=True)
class _Part:
    what: str
    size: int
    colour: str


def draw() -> Sheet:
    """Flash above, RAM below, each as a bar with its parts to scale."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    board, sizes = boards.load(record["board"]), record["sizes"]
    flash = [
        _Part("weights and biases", sizes["weights"], "one"),
        _Part("other tables of the model", sizes["tables"] - sizes["weights"], "two"),
        _Part("code: kernels, protocol, start-up", sizes["code"], "four"),
    ]
    ram = [
        _Part("the image", sizes["input_image"], "one"),
        _Part("other buffers", sizes["buffers"] - sizes["input_image"], "two"),
        _Part("stack, reserved", sizes["stack"], "four"),
    ]
    memories = (("Flash", board.flash, flash), ("RAM", board.ram, ram))
    told = "; ".join(f"{name}: {_told(parts, region.size_bytes)}" for name, region, parts in memories)
    sheet = Sheet(f"What LeNet-5 takes of a {board.title}", f"{told}.", 464)
    sheet.text(_LEFT, 38, board.title, "ink bold large")
    for index, (name, region, parts) in enumerate(memories):
        _memory(sheet, 76 + 206 * index, name, region, parts)
    return sheet


def _memory(sheet: Sheet, y: int, name: str, region: boards.Region, parts: list[_Part]) -> None:
    used, size = sum(part.size for part in parts), region.size_bytes
    sheet.text(_LEFT, y, f"{name}, {size // 1024} KB", "ink bold")
    sheet.text(_RIGHT, y, f"{used:,} bytes used, {100 * used / size:.0f} %", "ink end small")
    sheet.box(_LEFT, y + 12, _RIGHT - _LEFT, _BAR, "faint")
    x = float(_LEFT)
    for part in parts:
        width = (_RIGHT - _LEFT) * part.size / size
        sheet.box(x, y + 12, width, _BAR, part.colour)
        x += width
    sheet.text(_LEFT, y + 64, f"{region.origin:#010x}", "muted mono small")
    sheet.text(_RIGHT, y + 64, f"{region.end:#010x}", "muted mono small end")
    for row, part in enumerate([*parts, _Part("free", size - used, "faint edge-line")]):
        line = y + 92 + 22 * row
        sheet.box(_LEFT, line - 11, 12, 12, part.colour)
        sheet.text(_LEFT + 22, line, part.what, "ink small")
        sheet.text(_RIGHT, line, f"{part.size:,}", "ink small end")


def _told(parts: list[_Part], size: int) -> str:
    listed = ", ".join(f"{part.what} {part.size:,} bytes" for part in parts)
    return f"{listed}, free {size - sum(part.size for part in parts):,} bytes of {size:,}"
