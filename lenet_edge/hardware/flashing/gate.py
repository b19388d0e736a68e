"""The gate in front of `flash`: what must be shown of a firmware before it gets onto a board.

A firmware names the model it was made from, and a name proves nothing. The
gate therefore takes the model's file, computes its fingerprint anew, generates
the tables of that model and compares them byte by byte with those in the
firmware's image. The record of `check` is then asked about this fingerprint,
and, where an emulator has the board, about the SHA-256 of this very image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenet_edge.errors import BadInputError
from lenet_edge.files import MANIFEST, RECORD_BYTES, read_bytes, read_manifest
from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.tables import bytes_of
from lenet_edge.hardware.boards import Board, Policy
from lenet_edge.hardware.firmware import Firmware
from lenet_edge.hardware.images import Image
from lenet_edge.quantized.model import QuantizedModel

__all__ = ["Candidate", "Condition", "examine", "read_records"]

Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Candidate:
    """What is to be flashed, with the model that it is said to be made from.

    Attributes:
        firmware: as `firmware.load` read it.
        image: of its ELF.
    """

    board: Board
    model: QuantizedModel
    firmware: Firmware
    image: Image


@dataclass(frozen=True)
class Condition:
    """One condition of the gate.

    Attributes:
        name: such as "tables".
        problem: why it is not met; empty where it is.
        found: what was seen.
        remedy: the command that mends it.
    """

    name: str
    found: str
    problem: str = ""
    remedy: str = ""

    @property
    def met(self) -> bool:
        return not self.problem


def read_records(paths: Sequence[Path]) -> list[Mapping[str, Any]]:
    """The records of `check` in these files; one that does not exist is none.

    Raises:
        BadInputError: a file is not a record.
    """
    records = []
    for path in filter(Path.exists, paths):
        try:
            record = json.loads(read_bytes(path, "the check's record", limit=RECORD_BYTES))
            _ = record["fingerprint"], record["passed"], record["images"]
            if not all(isinstance(engine, dict) for engine in record["engines"]):
                raise TypeError("an engine is not an object")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadInputError(f"{path} is no record of `lenet-edge check`; run that again ({error!r})") from None
        records.append(record)
    return records


def examine(candidate: Candidate, records: Records, policy: Policy) -> list[Condition]:
    """Every condition, met or not, in the order in which one would mend them."""
    ours = [record for record in records if record["fingerprint"] == candidate.model.fingerprint]
    conditions = [_board(candidate), _files(candidate), _tables(candidate), _checked(candidate, ours)]
    if conditions[-1].met:
        conditions += [_engines(candidate, ours, policy), _drop(ours, policy)]
        conditions += [_this_image(candidate, ours, policy)]
    return conditions


# --- the firmware -----------------------------------------------------------------------------------


def _board(candidate: Candidate) -> Condition:
    """Made for this board and model: in the manifest, and in the banner, which the image carries."""
    board, built = candidate.board.name, candidate.firmware
    banner = f"board {board}, {candidate.board.cpu.clock_hz} Hz\nmodel {candidate.model.fingerprint}\n".encode()
    problem = ""
    if built.board != board:
        problem = f"{built.folder} holds firmware of {built.board}, not of {board}"
    elif built.fingerprint != candidate.model.fingerprint:
        problem = f"it was built from model {built.fingerprint[:16]}, not from {candidate.model.fingerprint[:16]}"
    elif not any(banner in part.content for part in candidate.image.segments):
        problem = "the image names another board, clock or model than its manifest"
    return Condition("board and model", f"{board}, {candidate.model.fingerprint[:16]}", problem, _rebuild(board))


def _files(candidate: Candidate) -> Condition:
    """The files are those that `build` wrote."""
    folder = candidate.firmware.folder
    files = (read_manifest(folder) or {"files": {}})["files"]
    edited = [name for name, expected in files.items() if _sha256(folder / name) != expected]
    if "firmware.elf" not in files:
        edited.append(MANIFEST)
    problem = f"{', '.join(edited)} in {folder} is not what `build` wrote" if edited else ""
    return Condition("files", f"{len(files)} as built", problem, _rebuild(candidate.board.name))


def _sha256(path: Path) -> str:
    return hashlib.sha256(read_bytes(path, "the firmware's file", "`lenet-edge build` makes it.")).hexdigest()


def _tables(candidate: Candidate) -> Condition:
    """The tables in the image are those of the model, byte by byte."""
    image, family = candidate.image, candidate.firmware.family
    known = (c_source.PLAIN, *c_source.FAMILIES)
    if family not in known:
        problem = f"its kernels, {family!r}, are unknown to this version"
        return Condition("tables", "", problem, _rebuild(candidate.board.name))
    plan = c_source.make_plan(candidate.model, family)
    tables = [table for placed in plan.steps for table in placed.kernel.tables]
    for table in tables:
        symbol = image.symbols.get(table.name)
        if symbol is None or image.content(symbol) != bytes_of(table):
            what = "is missing" if symbol is None else "is not the model's"
            problem = f"the table {table.name} in the image {what}"
            return Condition("tables", "", problem, _rebuild(candidate.board.name))
    size = sum(len(bytes_of(table)) for table in tables)
    return Condition("tables", f"{len(tables)} tables, {size:,} bytes, are those of the model")


def _rebuild(board: str) -> str:
    return f"lenet-edge build --board {board}"


# --- the record of check ----------------------------------------------------------------------------


def _checked(candidate: Candidate, ours: Records) -> Condition:
    """A check of this model passed, and none of those that are on record failed."""
    fingerprint = candidate.model.fingerprint[:16]
    failed = [record for record in ours if record["passed"] is not True]
    problem = ""
    if failed:
        said = "; ".join(map(str, failed[0].get("problems", [])))
        problem = f"the check of model {fingerprint} did not pass: {said or 'it does not say why'}"
    elif not ours:
        problem = f"model {fingerprint} was never checked: no record of it"
    return Condition("check", f"passed, {len(ours)} on record", problem, "lenet-edge check")


def _engines(candidate: Candidate, ours: Records, policy: Policy) -> Condition:
    """Every engine of the policy ran, on enough images, without a difference."""
    problems = []
    for name in policy.engines:
        images = _images_of(ours, lambda engine, _, name=name: engine.get("name") == name)  # type: ignore[misc]
        if images < policy.images:
            problems.append(f"{name} " + (f"on {images:,} images" if images else "did not run"))
    found = f"{len(policy.engines)} engines, {policy.images:,} images, no logit differs"
    asked = f"{', '.join(policy.engines)} on {policy.images:,} images"
    problem = f"on record: {', '.join(problems)}; asked for: {asked}" if problems else ""
    return Condition("engines", found, problem, "lenet-edge check")


def _drop(ours: Records, policy: Policy) -> Condition:
    """The accuracy that int8 loses against the float model."""
    if not policy.float_comparison:
        return Condition("accuracy drop", "not asked for")
    drops = [record["drop_points"] for record in ours if record["images"] >= policy.images]
    drops = [drop for drop in drops if isinstance(drop, (int, float))]
    if not drops:
        problem = f"no check on {policy.images:,} images compared the model with its float model"
        return Condition("accuracy drop", "", problem, "lenet-edge check --float FILE")
    found = f"{max(drops):.2f} points of at most {policy.max_drop_points:.2f}"
    problem = found if max(drops) > policy.max_drop_points + 1e-9 else ""
    return Condition("accuracy drop", found, problem, "lenet-edge quantize --int8")


def _this_image(candidate: Candidate, ours: Records, policy: Policy) -> Condition:
    """The very image ran in an emulator, where one has the board."""
    board, digest = candidate.board, candidate.image.sha256
    emulators = board.emulators
    if not (emulators.unicorn or emulators.qemu or emulators.simavr):
        return Condition("this image", f"no emulator has {board.name}")

    def is_it(engine: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
        ran = str(engine.get("name")).startswith(f"board:{board.name}/")
        return ran and record.get("firmware", {}).get(board.name) == digest

    images = _images_of(ours, is_it)
    found = f"{digest[:16]}, {images:,} images in an emulator, no logit differs"
    problem = ""
    if images < policy.board_images:
        seen = f"ran on {images:,} images" if images else "did not run in an emulator"
        problem = f"this image, {digest[:16]}, {seen}; asked for: {policy.board_images:,}"
    return Condition("this image", found, problem, f"lenet-edge check --board {board.name}")


def _images_of(ours: Records, is_it: Callable[[Mapping[str, Any], Mapping[str, Any]], bool]) -> int:
    """The most images on which an engine ran without a difference."""
    counts = [
        engine["images"]
        for record in ours
        for engine in record["engines"]
        if is_it(engine, record) and engine.get("status") == "ran" and engine.get("logits_differ") == 0
    ]
    return max(counts, default=0)
