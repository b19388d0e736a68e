"""The record of `bench --board`: what an inference takes on a board, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenet_edge.records.fields import (
    BOARD,
    SHA256,
    Fields,
    content_of,
    read_record,
    require_format,
    write_record,
)

__all__ = ["BENCH_FORMAT", "BenchRecord", "LayerCount", "parse_bench", "read_bench", "write_bench"]

BENCH_FORMAT = 1
"""Older ones have the same fields and no number, nor the firmware's SHA-256."""

_UNITS = ("instructions", "cycles")
_LARGEST_SIZE = 1 << 32
_MOST_MORE = 1e6


@dataclass(frozen=True)
class LayerCount:
    """What one step takes: a layer, with those that its kernel computes along.

    Attributes:
        name: the layers' names, joined by '+'; a convolution "a" with the pooling "b" and a layer "a+b" have the same.
        count: the largest over the images.
        macs: multiplications of weights.
        kernel: its name.
        why_plain: why that is not the fast one; empty where it is.
        runner_up: the name of the second best kernel; empty where there was no choice, and in earlier records.
        runner_up_more: how much more that would take, by the estimate: 0.06 for 6 %.
    """

    name: str
    count: int
    macs: int
    kernel: str
    why_plain: str
    runner_up: str = ""
    runner_up_more: float = 0.0


@dataclass(frozen=True)
class BenchRecord:
    """What `bench` counted on a board.

    Attributes:
        image_sha256: of all that is loaded; None where the record does not say it.
        images: how many ran.
        unit: "instructions" or "cycles".
        total, mean: of the whole inference, over the images.
        flash_bytes: all that is loaded.
        ram_bytes: static RAM and the stack that was used, without the input image.
        stack_used_bytes: of stack, as measured.
        stack_proved_bytes: of stack that are proved to be enough; None where nothing was proved.
        stack_problem: why nothing was.
    """

    board: str
    emulator: str
    toolchain: str
    optimize: str
    fingerprint: str
    image_sha256: str | None
    images: int
    unit: str
    total: int
    mean: int
    layers: tuple[LayerCount, ...]
    flash_bytes: int
    ram_bytes: int
    stack_used_bytes: int
    stack_proved_bytes: int | None = None
    stack_problem: str | None = None

    def content(self) -> dict[str, Any]:
        """The record's JSON object."""
        content = content_of(self, BENCH_FORMAT)
        for name in ("stack_proved_bytes", "stack_problem"):
            if content[name] is None:
                del content[name]
        return content


def read_bench(path: Path, board: str) -> BenchRecord:
    """The record of `bench --board` in a file, which may be another board's.

    Args:
        board: that messages name in the command which makes the record.

    Raises:
        BadInputError: it is missing, not such a record, another version's, or contradicts itself.
    """
    return read_record(path, parse_bench, f"lenet-edge bench --board {board}")


def write_bench(path: Path, record: BenchRecord) -> None:
    """Write a record of `bench --board`; errors as of `write_record`."""
    write_record(path, record.content(), parse_bench)


def parse_bench(content: Mapping[str, Any]) -> BenchRecord:
    """A record of `bench --board`, from its JSON object; errors as of `parse_check`."""
    fields = Fields(content)
    require_format(fields, BENCH_FORMAT, numbered=False)
    unit, total = fields.text("unit"), fields.count("total", least=1)
    if unit not in _UNITS:
        raise fields.wrong("unit", " or ".join(_UNITS))
    record = BenchRecord(
        board=fields.text("board", BOARD),
        emulator=fields.text("emulator"),
        toolchain=fields.text("toolchain"),
        optimize=fields.text("optimize"),
        fingerprint=fields.text("fingerprint", SHA256),
        image_sha256=fields.given("image_sha256", fields.text, SHA256),
        images=fields.count("images", least=1),
        unit=unit,
        total=total,
        mean=fields.count("mean", most=total),
        layers=tuple(_layer(layer, total) for layer in fields.objects("layers")),
        **{name: fields.count(name, most=_LARGEST_SIZE) for name in ("flash_bytes", "ram_bytes", "stack_used_bytes")},
        stack_proved_bytes=fields.given("stack_proved_bytes", fields.count, _LARGEST_SIZE),
        stack_problem=fields.given("stack_problem", fields.text),
    )
    fields.require_known()
    return record


def _layer(fields: Fields, total: int) -> LayerCount:
    layer = LayerCount(
        name=fields.text("name"),
        count=fields.count("count", most=total),
        macs=fields.count("macs"),
        kernel=fields.text("kernel"),
        why_plain=fields.text("why_plain"),
        runner_up=fields.given("runner_up", fields.text) or "",
        runner_up_more=fields.given("runner_up_more", fields.number, -1, _MOST_MORE) or 0.0,
    )
    fields.require_known()
    return layer
