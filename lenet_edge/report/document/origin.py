"""What made all this: versions, fingerprints, and the command lines that make it again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenet_edge.report import html
from lenet_edge.report.html import Figure

if TYPE_CHECKING:
    from lenet_edge.records import BuildRecord
    from lenet_edge.report.document.reading import Build

__all__ = ["Origin", "origin_of"]


@dataclass(frozen=True)
class Origin:
    """Names with their values, and commands in order."""

    fingerprints: list[tuple[str, Figure]]
    versions: list[tuple[str, Figure]]
    commands: list[str]
    remarks: tuple[str, ...]


def origin_of(build: Build) -> Origin:
    """From all records."""
    return Origin(_fingerprints(build), _versions(build), commands_of(build), build.remarks)


def _fingerprints(build: Build) -> list[tuple[str, Figure]]:
    found = [("the model", html.text(build.model.fingerprint, build.path.name, "/fingerprint"))]
    if build.check is not None:
        content = build.check.content
        found += [("the float model's file", content.text("float_sha256"))] if content.get("float_sha256") else []
        found.append(("the test set", content.text("data_sha256")))
    found += [(f"firmware of {board}", each.content.text("image_sha256")) for board, each in build.firmware.items()]
    return found


def _versions(build: Build) -> list[tuple[str, Figure]]:
    found = []
    for index, engine in enumerate(build.check.record.engines if build.check is not None else ()):
        if build.check is not None and engine.version and engine.status == "ran":
            found.append((engine.name, build.check.content.text("engines", index, "version")))
    found += [(f"compiler of {board}", each.content.text("toolchain")) for board, each in build.firmware.items()]
    return found


def commands_of(build: Build) -> list[str]:
    """Without the options that no record has, such as seeds."""
    model, folder = str(build.path), build.folder
    data = ["--data", str(build.model.metadata.get("dataset", "mnist"))]
    commands: list[list[Any]] = []
    if build.quantize is not None:
        grid = build.model.metadata.get("grid", "tie-free")
        source = build.path.with_name(build.path.stem.removesuffix("-int8") + ".safetensors")
        other = ["--grid", grid] if grid != "tie-free" else []
        commands.append(["quantize", "--int8", "--model", source, *data, *other, "--out", model])
    for board, found in build.firmware.items():
        asked = ["--optimize", found.record.optimize, *_packing(found.record)]
        commands.append(["build", "--board", board, "--model", model, *asked, "--out", folder / "firmware" / board])
    if build.check is not None:
        record = build.check.record
        few = ["--images", record.images] if record.images < record.data_images else []
        boards = [part for board in record.firmware for part in ("--board", board)]
        like = ["--like", record.like] if record.like else []
        places = ["--exports", folder, "--out", folder / "check.json"]
        commands.append(["check", "--model", model, "--data", record.data, *few, *boards, *like, *places])
    for board, found in build.bench.items():
        own = ["--firmware", folder / "firmware" / board] if board in build.firmware else []
        out = ["--out", folder / "bench" / f"{board}.json"]
        commands.append(["bench", "--board", board, "--model", model, *own, "--images", found.record.images, *out])
    commands.append(["report", "--model", model, "--build", folder])
    return [shlex.join(["lenet-edge", *map(str, command)]) for command in commands]


def _packing(record: BuildRecord) -> list[str]:
    """The packing of weights, where it was asked for."""
    if not record.packing or record.why_packed:
        return []
    return ["--weight-packing", ",".join(f"{layer}={packing}" for layer, packing in record.packing.items())]
