"""The manifest of a firmware: what `build` leaves for `check`, `run`, `bench`, `flash` and `budget`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from dataclasses import fields as names_of
from pathlib import Path
from typing import Any

from lenet_edge.records.artefact import parse_manifest, write_artefact
from lenet_edge.records.exported_c import packing_of
from lenet_edge.records.fields import BOARD, SHA256, Fields, read_record

__all__ = ["BuildRecord", "Sizes", "parse_build", "read_build", "write_build"]

_LARGEST_SIZE = 1 << 32


@dataclass(frozen=True)
class Sizes:
    """Bytes of a firmware.

    Attributes:
        code: everything in flash that is not a table of the model.
        tables: of the model: weights, biases, multipliers.
        weights: of these the weights and biases.
        buffers: static RAM, the buffer for messages with the image in it included.
        stack: reserved for it.
        input_image: of the buffers, what the image takes.
    """

    code: int
    tables: int
    weights: int
    buffers: int
    stack: int
    input_image: int

    @property
    def flash(self) -> int:
        return self.code + self.tables

    @property
    def ram(self) -> int:
        return self.buffers + self.stack

    @property
    def beyond_weights(self) -> int:
        """Flash beyond the weights and biases."""
        return self.flash - self.weights


@dataclass(frozen=True)
class BuildRecord:
    """A built firmware.

    Attributes:
        board, fingerprint: what it was made for.
        toolchain: what made it.
        optimize: "speed" or "size".
        family: of the kernels that were preferred.
        image_sha256: of all that is loaded, as `Elf.sha256` has it.
        sizes: in bytes.
        like: the runtime whose integers it computes, where these are not TFLM's.
        files: name -> SHA-256, as `build` wrote them.
        packing: layer -> how its weights lie, "4", "2" or "trits"; those that are not there have a byte for each.
        why_packed: why these; empty where it was asked for, or nothing is packed.
        stack_depth: bytes of stack that the deepest path of calls takes; 0 where none was proved.
        stack_path: its functions.
        stack_inference: bytes that an inference alone takes; 0 where nothing was proved.
        stack_problem: why nothing was proved; empty where it was.
    """

    board: str
    fingerprint: str
    toolchain: str
    optimize: str
    family: str
    image_sha256: str
    sizes: Sizes
    files: Mapping[str, str]
    packing: Mapping[str, str] = field(default_factory=dict)
    why_packed: str = ""
    like: str | None = None
    stack_depth: int = 0
    stack_path: tuple[str, ...] = ()
    stack_inference: int = 0
    stack_problem: str = ""


def read_build(path: Path, board: str) -> BuildRecord:
    """The manifest of a firmware in a file, which may be another board's; arguments and errors as of `read_bench`."""
    return read_record(path, parse_build, f"lenet-edge build --board {board}")


def write_build(folder: Path, contents: Mapping[str, bytes], record: BuildRecord) -> BuildRecord:
    """Write a firmware's folder with its manifest; the record as it is then, with the SHA-256 of its `files`."""
    facts = asdict(record)
    facts.pop("files")
    if record.like is None:
        facts.pop("like")
    facts["stack_path"] = list(record.stack_path)
    return parse_build(write_artefact(folder, contents, **facts).content())


def parse_build(content: Mapping[str, Any]) -> BuildRecord:
    """The manifest of a firmware, from its JSON object; errors as of `parse_check`."""
    manifest = parse_manifest(content)
    fields = Fields(dict(manifest.facts))
    sizes = fields.table("sizes")
    record = BuildRecord(
        board=fields.text("board", BOARD),
        fingerprint=manifest.fingerprint,
        toolchain=fields.text("toolchain"),
        optimize=fields.text("optimize"),
        family=fields.text("family"),
        image_sha256=fields.text("image_sha256", SHA256),
        sizes=Sizes(**{size.name: sizes.count(size.name, most=_LARGEST_SIZE) for size in names_of(Sizes)}),
        files=manifest.files,
        packing=packing_of(fields),
        why_packed=fields.given("why_packed", fields.text) or "",
        like=fields.given("like", fields.text),
        stack_depth=fields.given("stack_depth", fields.count, _LARGEST_SIZE) or 0,
        stack_path=fields.given("stack_path", fields.texts) or (),
        stack_inference=fields.given("stack_inference", fields.count, _LARGEST_SIZE) or 0,
        stack_problem=fields.given("stack_problem", fields.text) or "",
    )
    sizes.require_known()
    fields.require_known()
    return record
