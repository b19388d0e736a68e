"""The records of one board: of `bench --board`, and the manifest that `build` leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lenet_edge.records.fields import BOARD, SHA256, Fields, WrongRecordError, require_format

__all__ = ["BENCH_FORMAT", "BenchRecord", "BuildRecord", "parse_bench", "parse_build"]

BENCH_FORMAT = 1
"""Of the records of `bench`. Older ones have the same fields and no number."""

_UNITS = ("instructions", "cycles")
_LARGEST_SIZE = 1 << 32


@dataclass(frozen=True)
class BenchRecord:
    """What `bench` counted on a board: of the whole inference and of each layer, the largest over the images."""

    board: str
    fingerprint: str
    toolchain: str
    unit: str
    total: int
    layers: Mapping[str, int]


@dataclass(frozen=True)
class BuildRecord:
    """What the manifest of a firmware says.

    Attributes:
        image_sha256: of all that is loaded, as `Image.sha256` has it.
        sizes: in bytes, by the names of `firmware.Sizes`.
    """

    board: str
    fingerprint: str
    toolchain: str
    optimize: str
    family: str
    image_sha256: str
    sizes: Mapping[str, int]


def parse_bench(content: Mapping[str, Any]) -> BenchRecord:
    """A record of `bench --board`, from its JSON object; errors as of `parse_check`."""
    fields = Fields(content)
    require_format(fields, BENCH_FORMAT, numbered=False)
    unit = fields.text("unit")
    if unit not in _UNITS:
        raise fields.wrong("unit", " or ".join(_UNITS))
    total, layers = fields.count("total", least=1), fields.objects("layers")
    counts = {layer.text("name"): layer.count("count", most=total) for layer in layers}
    if len(counts) != len(layers):
        raise WrongRecordError("it has a layer twice")
    words = {"board": fields.text("board", BOARD), "fingerprint": fields.text("fingerprint", SHA256)}
    return BenchRecord(**words, toolchain=fields.text("toolchain"), unit=unit, total=total, layers=counts)


def parse_build(content: Mapping[str, Any]) -> BuildRecord:
    """The manifest of a firmware, from its JSON object; errors as of `parse_check`."""
    fields = Fields(content)
    sizes = fields.table("sizes")
    words = {name: fields.text(name) for name in ("toolchain", "optimize", "family")}
    return BuildRecord(
        board=fields.text("board", BOARD),
        fingerprint=fields.text("fingerprint", SHA256),
        **words,
        image_sha256=fields.text("image_sha256", SHA256),
        sizes={name: sizes.count(name, most=_LARGEST_SIZE) for name in sizes.items()},
    )
