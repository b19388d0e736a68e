"""Flash and RAM of each firmware against the board's, and which tensor lies where while the model runs."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source import PLAIN, Plan, make_plan
from lenet_edge.report import html
from lenet_edge.report.charts import Tensor, draw_lifetimes
from lenet_edge.report.html import Figure

if TYPE_CHECKING:
    from markupsafe import Markup

    from lenet_edge.report.document.reading import Build, Found

__all__ = ["Bar", "Firmware", "Lifetimes", "Memory", "lifetimes_of", "memory_of"]


@dataclass(frozen=True)
class Part:
    """A part of a bar: what it is, its size, its colour, and where it begins and how long it is, in per cent."""

    what: str
    size: Figure
    colour: str
    start: float
    width: float


@dataclass(frozen=True)
class Bar:
    """A memory: what is in it, out of how much; where the board is not known, out of what is used.

    Attributes:
        used: in bytes, and as text.
        total: of the board; None where it is not known here.
        share: of that, in words.
    """

    memory: str
    used: str
    used_bytes: int
    total: Figure | None
    share: str
    parts: list[Part]
    is_full: bool


@dataclass(frozen=True)
class Firmware:
    """What was built for a board."""

    board: Figure
    title: str
    toolchain: Figure
    optimize: Figure
    family: Figure
    bars: list[Bar]
    stack_used: Figure | None
    stack_proved: Figure | None


@dataclass(frozen=True)
class Memory:
    """All boards for which there is a firmware."""

    boards: list[Firmware]


def memory_of(build: Build) -> Memory | None:
    """From the manifests of the firmware."""
    return Memory([_firmware(build, found) for found in build.firmware.values()]) if build.firmware else None


def _firmware(build: Build, found: Found) -> Firmware:
    record, content = found.record, found.content
    board = build.boards.get(record.board)
    sizes = record.sizes
    flash = {
        "weights and biases": (sizes.weights, content.size("sizes", "weights"), "one"),
        "other tables": (sizes.tables - sizes.weights, _less(found, "tables", "weights"), "three"),
        "code": (sizes.code, content.size("sizes", "code"), "two"),
    }
    ram = {
        "the image": (sizes.input_image, content.size("sizes", "input_image"), "four"),
        "other buffers": (sizes.buffers - sizes.input_image, _less(found, "buffers", "input_image"), "one"),
        "stack": (sizes.stack, content.size("sizes", "stack"), "two"),
    }
    file = None if board is None else f"targets/{board.path.name}"
    totals = {
        "flash": None if board is None else html.size(board.flash.size_bytes, f"{file}", "/flash/size_bytes"),
        "RAM": None if board is None else html.size(board.ram.size_bytes, f"{file}", "/ram/size_bytes"),
    }
    bench = build.bench.get(record.board)
    same = bench is not None and bench.record.image_sha256 == record.image_sha256
    return Firmware(
        content.text("board"),
        record.board if board is None else board.title,
        content.text("toolchain"),
        content.text("optimize"),
        content.text("family"),
        [_bar(name, parts, totals[name]) for name, parts in (("flash", flash), ("RAM", ram))],
        bench.content.size("stack_used_bytes") if bench is not None and same else None,
        content.size("stack_depth") if record.stack_depth else None,
    )


def _less(found: Found, whole: str, part: str) -> Figure:
    """The rest of a size, under the address of the whole and what it is less."""
    rest = found.content.get("sizes", whole) - found.content.get("sizes", part)
    return html.size(rest, found.content.file, f"/sizes/{whole} - /sizes/{part}")


def _bar(memory: str, parts: dict[str, tuple[int, Figure, str]], total: Figure | None) -> Bar:
    used = sum(size for size, _, _ in parts.values())
    scale, at, drawn = 100 / max(used, 1 if total is None else total.value), 0.0, []
    for what, (size, shown, colour) in parts.items():
        drawn.append(Part(what, shown, colour, round(at, 3), round(size * scale, 3)))
        at += size * scale
    share = "" if total is None else f"{100 * used / total.value:.0f} %" if used * 100 >= total.value else "under 1 %"
    full = total is not None and used > 0.9 * total.value
    return Bar(memory, str(html.size(used, "", "")), used, total, share, drawn, full)


# --- lifetimes ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lifetimes:
    """The workspace of the generated C, for families of kernels that place all tensors alike.

    Attributes:
        families: of the kernels.
        boards: that have it.
        workspace: its bytes.
        tensors: what lies in it.
        steps: of the generated C.
    """

    families: str
    boards: list[str]
    workspace: str
    tensors: list[Tensor]
    steps: list[str]
    chart: Markup


def lifetimes_of(build: Build, place: int) -> list[Lifetimes]:
    """For each family of kernels, and packing of weights, that a firmware has; without one, of the plain kernels."""
    families: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for board, found in build.firmware.items():
        families.setdefault((found.record.family, tuple(found.record.packing.items())), []).append(board)
    plans: dict[tuple[Tensor, ...], tuple[Plan, list[str], list[str]]] = {}
    for (family, packing), boards in (families or {(PLAIN, ()): []}).items():
        try:
            plan = make_plan(build.model, family, dict(packing))
        except (BadInputError, KeyError):  # no C is written of such a model; or the family of another version
            continue
        if plan.workspace_bytes:  # families that place all tensors alike are drawn once
            _, names, all_boards = plans.setdefault(tuple(tensors_of(plan)), (plan, [], []))
            names.append(family + (" with packed weights" if packing else ""))
            all_boards += boards
    return [
        _lifetimes(plan, list(tensors), " and ".join(names), boards, f"lifetimes-{place}-{index}")
        for index, (tensors, (plan, names, boards)) in enumerate(plans.items())
    ]


def _lifetimes(plan: Plan, tensors: list[Tensor], families: str, boards: list[str], name: str) -> Lifetimes:
    steps = ["+".join(placed.step.names) for placed in plan.steps]
    told = f"{plan.workspace_bytes:,} bytes of workspace over {len(steps)} steps"
    return Lifetimes(
        families,
        boards,
        f"{plan.workspace_bytes:,}",
        tensors,
        steps,
        draw_lifetimes(tensors, steps, plan.workspace_bytes, name, f"Tensors in memory: {told}"),
    )


def tensors_of(plan: Plan) -> list[Tensor]:
    """What lies in the workspace; a tensor that another one begins in, or that becomes a part of one, ends there."""
    found = []
    for index, placed in enumerate(plan.steps):
        label, kernel = "+".join(placed.step.names), placed.kernel
        if placed.offset is not None:
            found.append(Tensor(label, index, _last(plan, index), placed.offset, placed.step.output_bytes))
        if kernel.scratch_bytes:
            found.append(Tensor(label, index, index, placed.scratch_offset, kernel.scratch_bytes, scratch=True))
    return found


def _last(plan: Plan, index: int) -> int:
    """The last step at which the output of a step, with what became a part of it, is there by itself."""
    step = plan.steps[index].step
    held = {index, *(step.reads[number] for number in step.placed)}
    later = range(index + 1, len(plan.steps))
    read = max((at for at in later if held & set(plan.steps[at].step.reads)), default=index)
    return min(read, next((at for at in later if _takes(plan, at, held)), read + 1) - 1)


def _takes(plan: Plan, later: int, held: Set[object]) -> bool:
    """Whether the output of a step lies where that of one of `held` does, which it reads."""
    steps, offset = plan.steps, plan.steps[later].offset
    step = steps[later].step
    if steps[later].grows_over_input:
        return step.reads[0] in held
    if step.in_place:
        return any(isinstance(at, int) and at in held and steps[at].offset == offset for at in step.reads)
    return any(step.reads[number] in held for number in step.placed)
