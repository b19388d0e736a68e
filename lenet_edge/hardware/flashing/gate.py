"""The gate in front of `flash`: what must be shown of a firmware before it gets onto a board.

Firmware names the model it was made from, but a name proves nothing. The
gate therefore takes the model's file, computes its fingerprint again, generates
the tables of that model and compares them byte by byte with those in the
firmware's image. The record of `check` must then cover this fingerprint, on
the policy's data set, and, if an emulator has the board, the SHA-256 of
this very image. Records and manifests are read as data that anybody may have edited.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes
from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.tables import bytes_of
from lenet_edge.hardware.boards import Board, Policy
from lenet_edge.hardware.elf import Elf, to_binary, to_hex
from lenet_edge.hardware.firmware import Firmware
from lenet_edge.hardware.flashing.policies import TestSet
from lenet_edge.hardware.layout import layout_problem
from lenet_edge.hardware.uf2 import to_uf2
from lenet_edge.quantized.like import RUNTIMES, USUAL, as_computed_by, original
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.records import MANIFEST, CheckRecord, EngineResult, read_check

__all__ = ["Candidate", "Condition", "examine", "read_records"]

Records = Sequence[CheckRecord]


@dataclass(frozen=True, eq=False)
class Candidate:
    """What is to be flashed, and the model that it was supposedly made from.

    Attributes:
        firmware: as `firmware.load` read it.
        elf: its ELF, read once: what is judged and flashed is in here, and the file is not read again.
        model_argument: how a command names the model, such as " --model my.tflite"; empty for the usual one.
    """

    board: Board
    model: QuantizedModel
    firmware: Firmware
    elf: bytes
    model_argument: str = ""

    @cached_property
    def image(self) -> Elf:
        """What the ELF loads; `BadInputError` where it is not an ELF."""
        return Elf(self.elf, str(self.firmware.elf))


@dataclass(frozen=True)
class Condition:
    """One condition of the gate.

    Attributes:
        name: such as "tables".
        found: what was seen.
        problem: why it is not met; empty where it is.
        remedy: the command to run then.
        caveat: why nothing was shown although it is met; to be said with every verdict.
    """

    name: str
    found: str
    problem: str = ""
    remedy: str = ""
    caveat: str = ""

    @property
    def met(self) -> bool:
        return not self.problem


def read_records(paths: Sequence[Path]) -> list[CheckRecord]:
    """The records of `check` in these files; one that does not exist is none.

    Raises:
        BadInputError: a file is not a record, or another version's.
    """
    return [read_check(path) for path in paths if os.path.lexists(path)]


def examine(candidate: Candidate, records: Records, policy: Policy, data: TestSet) -> list[Condition]:
    """Every condition, met or not, in the order in which one would meet them."""
    every = [record for record in records if record.fingerprint == candidate.model.fingerprint]
    ours = [record for record in every if _counts(record, policy)]
    conditions = [_board(candidate), _files(candidate), _layout(candidate), _tables(candidate)]
    conditions += [_checked(candidate, ours, every, policy), _data(candidate, ours, data, policy)]
    if all(condition.met for condition in conditions[-2:]):
        ours = [record for record in ours if record.data_sha256 == data.sha256]
        conditions += [
            _engines(candidate, ours, policy),
            _drop(candidate, ours, policy),
            _this_image(candidate, ours, policy),
        ]
    elif not candidate.board.emulator.names:  # that is said with every verdict
        conditions.append(_this_image(candidate, [], policy))
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
        problem = "the image names a different board, clock or model from its manifest"
    return Condition("board and model", f"{board}, {candidate.model.fingerprint[:16]}", problem, _rebuild(candidate))


def _files(candidate: Candidate) -> Condition:
    """The files are those that `build` wrote, and those for other tools hold what the ELF holds."""
    folder, rebuild = candidate.firmware.folder, _rebuild(candidate)
    files = candidate.firmware.files
    contents = {name: _content(candidate, name) for name in files}
    edited = [name for name, expected in files.items() if hashlib.sha256(contents[name]).hexdigest() != expected]
    of_this = "firmware.elf" in files and candidate.firmware.image_sha256 == candidate.image.sha256
    if not edited and not of_this:
        edited.append(MANIFEST)
    problem = f"{', '.join(edited)} in {folder} is not what `build` wrote" if edited else ""
    if not edited and not layout_problem(candidate.image, candidate.board):  # else the forms may not be made
        others = [name for name, form in _forms(candidate) if contents.get(name, form) != form]
        problem = f"{', '.join(others)} in {folder} does not hold what firmware.elf holds" if others else ""
    return Condition("files", f"{len(files)} as built", problem, rebuild)


def _content(candidate: Candidate, name: str) -> bytes:
    """Of a file in the firmware's folder; the ELF is not read again."""
    if name == "firmware.elf":
        return candidate.elf
    return read_bytes(candidate.firmware.folder / name, "the firmware's file", "`lenet-edge build` makes it.")


def _forms(candidate: Candidate) -> list[tuple[str, bytes]]:
    image, tool = candidate.image, candidate.board.flash_tool
    forms = [("firmware.hex", to_hex(image).encode()), ("firmware.bin", to_binary(image))]
    if tool is not None and tool.uf2_family is not None:
        forms.append(("firmware.uf2", to_uf2(image, tool.uf2_family)))
    return forms


def _layout(candidate: Candidate) -> Condition:
    """What is written is what was hashed, whichever way a tool reads the ELF."""
    problem = layout_problem(candidate.image, candidate.board)
    found = f"{candidate.image.flash_bytes:,} bytes, all inside the flash"
    return Condition("layout", found, problem, _rebuild(candidate))


def _tables(candidate: Candidate) -> Condition:
    """The tables in the image are those of the model, byte by byte."""
    image, family = candidate.image, candidate.firmware.family
    known = tuple(c_source.FAMILIES)
    if family not in known:
        problem = f"its kernels, {family!r}, are unknown to this version"
        return Condition("tables", "", problem, _rebuild(candidate))
    try:
        tables = c_source.make_plan(candidate.model, family, candidate.firmware.packing).tables
    except BadInputError as error:
        return Condition("tables", "", f"its manifest is not of this model: {error}", _rebuild(candidate))
    for table in tables:
        symbol = image.symbols.get(table.name)
        if symbol is None or image.content(symbol) != bytes_of(table) or table.name in image.ambiguous:
            what = "is missing" if symbol is None else "is not the model's"
            what = "is there twice" if table.name in image.ambiguous else what
            problem = f"the table {table.name} in the image {what}"
            return Condition("tables", "", problem, _rebuild(candidate))
    size = sum(len(bytes_of(table)) for table in tables)
    return Condition("tables", f"{len(tables)} tables, {size:,} bytes, are those of the model")


def _rebuild(candidate: Candidate) -> str:
    like = f" --like {candidate.firmware.like}" if candidate.firmware.like else ""
    return f"lenet-edge build --board {candidate.board.argument}{candidate.model_argument}{like}"


# --- the record of check ----------------------------------------------------------------------------


def _counts(record: CheckRecord, policy: Policy) -> bool:
    """Whether a record is of the required kind of check; if all engines agreed, it is like any runtime."""
    return record.like == policy.like or (record.like is None and record.passed)


def _check_again(candidate: Candidate, policy: Policy, data: str | None = None) -> str:
    """The command that checks the model as the policy asks, on this data set."""
    data = data or ("noise" if policy.data == "noise" else None)  # else it may be a SHA-256
    like = "" if policy.like is None else f" --like {policy.like}"
    return f"lenet-edge check{candidate.model_argument}{like}{f' --data {data}' if data else ''}"


def _checked(candidate: Candidate, ours: Records, every: Records, policy: Policy) -> Condition:
    """A check of this model passed, and no check of its kind on record failed."""
    fingerprint = candidate.model.fingerprint[:16]
    failed = [record for record in ours if not record.passed]
    problem = ""
    if failed:
        problem = f"the check of model {fingerprint} did not pass: {'; '.join(failed[0].problems)}"
    elif every and not ours:
        found = "against all runtimes, without passing" if every[0].like is None else f"like {every[0].like} only"
        asked = "a check in which all agree" if policy.like is None else f"a check like {policy.like}"
        problem = f"model {fingerprint} was checked {found}; the policy asks for {asked}"
    elif not ours:
        problem = f"model {fingerprint} was never checked: no record of it"
    if other := _other_rounding(candidate, policy):
        return Condition("check", "", *other)
    passed = "passed" if policy.like is None else f"passed, like {policy.like}"
    return Condition("check", f"{passed}, {len(ours)} on record", problem, _check_again(candidate, policy))


def _other_rounding(candidate: Candidate, policy: Policy) -> tuple[str, str] | None:
    """Why the firmware's integers are not those that the policy asks for, and what helps; None where they are."""
    like = policy.like if policy.like in RUNTIMES else USUAL
    wanted = as_computed_by(like, original(candidate.model))
    if wanted == candidate.model:
        return None
    has = candidate.firmware.like or USUAL
    problem = f"the firmware computes the integers of {has}, the policy asks for those of {like}"
    return problem, f"lenet-edge build --board {candidate.board.argument}{candidate.model_argument} --like {like}"


def _data(candidate: Candidate, ours: Records, data: TestSet, policy: Policy) -> Condition:
    """The images were those of the policy's data set, whatever their folder was called."""
    asked, remedy = (
        f"{data.name} ({data.sha256[:16]}, named by {data.source})",
        _check_again(candidate, policy, data.name),
    )
    others = [f"{record.data} ({record.data_sha256[:16]})" for record in ours if record.data_sha256 != data.sha256]
    if len(others) == len(ours):
        problem = f"checked on {', '.join(others) or 'nothing'}; asked for: {asked}"
        return Condition("data", "", problem, remedy)
    counts = [record.data_images for record in ours if record.data_sha256 == data.sha256]
    wrong = [count for count in counts if data.images is not None and count != data.images]
    problem = f"the record says that {data.name} has {wrong[0]:,} images; it has {data.images:,}" if wrong else ""
    caveat = ""
    if data.images is None and data.source == TestSet.OWN:  # a published one is known for what it is
        caveat = f"the policy names no data set: the images are those that the model names, {data.sha256[:16]}"
    return Condition("data", asked, problem, remedy, caveat)


def _engines(candidate: Candidate, ours: Records, policy: Policy) -> Condition:
    """Every engine of the policy ran, on enough images, without a difference."""
    problems = []
    for name in policy.engines:
        images = _images_of(ours, lambda engine, _, name=name: engine.name == name)  # type: ignore[misc]
        if images < max(policy.images, 1):
            problems.append(f"{name} " + (f"on {images:,} images" if images else "did not run"))
    found = f"{len(policy.engines)} engines, {policy.images:,} images, no logit differs"
    asked = f"{', '.join(policy.engines)} on {policy.images:,} images"
    problem = f"on record: {', '.join(problems)}; asked for: {asked}" if problems else ""
    caveat = "" if policy.engines else "the policy asks for no engine"
    return Condition("engines", found, problem, _check_again(candidate, policy), caveat)


def _drop(candidate: Candidate, ours: Records, policy: Policy) -> Condition:
    """The accuracy that int8 loses against the float model that it was made from: against a bad one it loses none."""
    if not policy.float_comparison:
        return Condition("accuracy drop", "", caveat="the policy does not ask for a comparison with the float model")
    enough = [record for record in ours if record.images >= policy.images]
    drops = [(record.drop_points, str(record.float_sha256)) for record in enough if record.drop_points is not None]
    own = candidate.model.metadata.get("float_sha256")  # of a third-party model it may be anything
    own = own if isinstance(own, str) and re.fullmatch("[0-9a-f]{64}", own) else None
    compared = [drop for drop, sha256 in drops if own is None or sha256 == own]
    if not compared:
        problem = f"no check on {policy.images:,} images compared the model with its float model"
        if drops:
            problem = f"compared with another float model, {drops[0][1][:16]}; this one was made from {str(own)[:16]}"
        return Condition("accuracy drop", "", problem, f"lenet-edge check{candidate.model_argument} --float FILE")
    found = f"{max(compared):.2f} points of at most {policy.max_drop_points:.2f}"
    problem = found if max(compared) > policy.max_drop_points + 1e-9 else ""
    if own is None:
        found += f", against {drops[0][1][:16]}; the model does not say which float model it was made from"
    return Condition("accuracy drop", found, problem, "lenet-edge quantize --int8")


def _this_image(candidate: Candidate, ours: Records, policy: Policy) -> Condition:
    """The very image ran in an emulator, where one has the board."""
    board, digest = candidate.board, candidate.image.sha256
    if not board.emulator.names:
        caveat = f"no emulator has {board.name}: {digest[:16]} did not run before it is written"
        return Condition("this firmware", "", caveat=caveat)

    def is_it(engine: EngineResult, record: CheckRecord) -> bool:
        return engine.name.startswith(f"board:{board.name}/") and record.firmware.get(board.name) == digest

    images = _images_of(ours, is_it)
    found = f"{digest[:16]}, {images:,} images in an emulator, no logit differs"
    problem = ""
    if images < policy.board_images:
        seen = f"ran on {images:,} images" if images else "did not run in an emulator"
        problem = f"this firmware, {digest[:16]}, {seen}; asked for: {policy.board_images:,}"
    caveat = "" if policy.board_images or images else "the policy does not ask that it ran in an emulator"
    return Condition(
        "this firmware", found, problem, f"{_check_again(candidate, policy)} --board {board.argument}", caveat
    )


def _images_of(ours: Records, is_it: Callable[[EngineResult, CheckRecord], bool]) -> int:
    """The most images on which an engine ran without a difference."""
    counts = [
        engine.images
        for record in ours
        for engine in record.engines
        if is_it(engine, record) and engine.status == "ran" and engine.logits_differ == 0
    ]
    return max(counts, default=0)
