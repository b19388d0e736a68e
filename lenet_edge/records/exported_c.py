"""The manifest of exported C: what `export --target c` says of it, and the engine `host_c` runs it by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenet_edge.errors import BadInputError
from lenet_edge.files import RECORD_BYTES, read_bytes
from lenet_edge.records.artefact import MANIFEST, parse_manifest
from lenet_edge.records.fields import Fields, WrongRecordError, load_object

__all__ = ["CStep", "ExportedC", "packing_of", "parse_exported_c", "read_exported_c"]

_NAME = r"[a-z][a-z0-9_]*"
_MOST_OUTPUTS, _LARGEST_INPUT, _LARGEST_MEMORY = 1 << 16, 1 << 26, 1 << 30


@dataclass(frozen=True)
class CStep:
    """One call of the inference.

    Attributes:
        layers: the layers of the model that it computes.
        kind: of the first of them.
        output: its shape.
        macs: multiplications of weights.
        shows: the layer whose output it leaves; None where no layer of the model has it.
        kernel: its name.
        why_plain: why that is not the fast one; empty where it is.
    """

    layers: tuple[str, ...]
    kind: str
    output: tuple[int, ...]
    macs: int
    shows: str | None
    kernel: str
    why_plain: str


@dataclass(frozen=True)
class ExportedC:
    """The C of a model.

    Attributes:
        name: the prefix of all its names, without the underscore; "le" unless `export --name` gave another.
        fingerprint: of the model.
        files: name -> SHA-256.
        family: of the kernels that were preferred.
        classes: how many; `outputs`: how many values an inference gives. Two classes can share one.
        input_bytes, workspace_bytes, table_bytes, weight_bytes: sizes; `weight_bytes` are part of `table_bytes`.
        in_place_bytes: of a memory that has input and workspace in it.
        requantization: "tie-free", "double rounding", or "float32, half to even".
        packing: layer -> how its weights lie; those that are not there have a byte for each.
        like: the runtime whose integers it computes, where these are not TFLM's.
        frames: the camera's that its example takes, such as "320x240/rgb565"; None where it takes no frames.
    """

    name: str
    fingerprint: str
    files: Mapping[str, str]
    family: str
    classes: int
    outputs: int
    input_bytes: int
    workspace_bytes: int
    in_place_bytes: int
    table_bytes: int
    weight_bytes: int
    requantization: str
    packing: Mapping[str, str]
    steps: tuple[CStep, ...]
    like: str | None = None
    frames: str | None = None


def packing_of(fields: Fields) -> dict[str, str]:
    """The field "packing": layer -> how its weights lie; empty where it is left out."""
    if not fields.has("packing"):
        return {}
    found = fields.table("packing")
    return {layer: found.text(layer) for layer in found.items()}


def read_exported_c(folder: Path) -> ExportedC:
    """The manifest of the C in a folder.

    Raises:
        BadInputError: it is missing, not such a manifest, or another version's.
    """
    path, again = folder / MANIFEST, "lenet-edge export --target c"
    data = read_bytes(path, "the manifest", f"Export again: {again}", limit=RECORD_BYTES)
    try:
        return parse_exported_c(load_object(data))
    except WrongRecordError as error:
        raise BadInputError(f"{path} is not what `{again}` writes: {error}; export again") from None


def parse_exported_c(content: Mapping[str, Any]) -> ExportedC:
    """The manifest of exported C, from its JSON object; errors as of `parse_check`."""
    manifest = parse_manifest(content)
    fields = Fields(dict(manifest.facts))
    classes = fields.count("classes", most=_MOST_OUTPUTS)
    outputs: int | None = fields.given("outputs", fields.count, _MOST_OUTPUTS)
    record = ExportedC(
        name=fields.given("name", fields.text, _NAME) or "le",
        fingerprint=manifest.fingerprint,
        files=manifest.files,
        family=fields.text("family"),
        classes=classes,
        outputs=classes if outputs is None else outputs,
        input_bytes=fields.count("input_bytes", most=_LARGEST_INPUT),
        workspace_bytes=fields.count("workspace_bytes", most=_LARGEST_MEMORY),
        in_place_bytes=fields.count("in_place_bytes", most=_LARGEST_MEMORY),
        table_bytes=fields.count("table_bytes", most=_LARGEST_MEMORY),
        weight_bytes=fields.count("weight_bytes", most=_LARGEST_MEMORY),
        requantization=fields.text("requantization"),
        packing=packing_of(fields),
        steps=tuple(map(_step, fields.objects("steps"))),
        like=fields.given("like", fields.text),
        frames=fields.given("frames", fields.text),
    )
    fields.given("target", fields.text, "c")
    fields.require_known()
    return record


def _step(fields: Fields) -> CStep:
    step = CStep(
        layers=fields.texts("layers"),
        kind=fields.text("kind"),
        output=fields.counts("output", most=_LARGEST_MEMORY),
        macs=fields.count("macs"),
        shows=fields.optional("shows", fields.text),
        kernel=fields.text("kernel"),
        why_plain=fields.text("why_plain"),
    )
    fields.require_known()
    return step
