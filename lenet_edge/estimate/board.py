"""A model on a board: sizes from the code that builds it, code and instructions from measurements."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lenet_edge.errors import BadInputError
from lenet_edge.estimate.made_up import MOST_WEIGHTS
from lenet_edge.estimate.measured import Core, core_of, costs_of, rest_of
from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.costs import CoreCosts
from lenet_edge.formats.c_source.families import FAMILIES
from lenet_edge.formats.c_source.loops import kind_of_kernel, loops_of
from lenet_edge.formats.c_source.plan import Plan
from lenet_edge.hardware.boards import Board
from lenet_edge.hardware.limits import GOLDEN_COUNT, buffer_bytes_of, require_fit, stack_bytes_of
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.records import Sizes

__all__ = [
    "FITS",
    "IMPOSSIBLE",
    "TIGHT",
    "TIGHT_SHARE",
    "TOO_BIG",
    "Count",
    "Estimate",
    "at_least",
    "estimate",
    "with_sizes",
]

FITS, TIGHT, TOO_BIG, IMPOSSIBLE = "FITS", "TIGHT", "TOO BIG", "IMPOSSIBLE"
TIGHT_SHARE = 0.9
"""Share of a board's flash or RAM; a model that takes more is tight."""

# All steps that were counted may be nearer than this; other models were not.
_NEVER_NEARER, _WITHOUT_MULTIPLIER = 0.03, 0.12
_BETWEEN_KINDS = " + "


@dataclass(frozen=True)
class Count:
    """What an inference takes.

    Attributes:
        unit: "instructions" or "cycles".
        about: the estimate.
        least, most: the range, from the errors of nine in ten estimates of its kernels; at least 3 % to either side,
            without a multiplier 12 %.
    """

    unit: str
    about: int
    least: int
    most: int


@dataclass(frozen=True)
class Estimate:
    """What a model takes on a board.

    Attributes:
        verdict: FITS; TIGHT, if more than `TIGHT_SHARE` of flash or RAM is taken; TOO BIG; or IMPOSSIBLE, if the model
            exceeds a limit of the firmware.
        flash_bytes, ram_bytes: all that is loaded; static RAM and the reserved stack. None if IMPOSSIBLE.
        flash_over, ram_over: how many bytes that is over the board's budget.
        tables_bytes, workspace_bytes: the parts of these for the model's tables and for the maps between its layers.
        count: what an inference takes; None if nothing like its kernels was measured.
        problem: why it is IMPOSSIBLE.
        toolchain: what built the firmware that has these bytes; empty if they are estimated.
        not_measured: files of its kernels whose code comes on top of `flash_bytes`.
        packing: layer -> how its weights lie, so that it fits; those that are not there have a byte for each.
    """

    verdict: str
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    flash_over: int = 0
    ram_over: int = 0
    tables_bytes: int | None = None
    workspace_bytes: int | None = None
    count: Count | None = None
    problem: str = ""
    toolchain: str = ""
    not_measured: tuple[str, ...] = ()
    packing: Mapping[str, str] = field(default_factory=dict)


def estimate(
    model: QuantizedModel, board: Board, optimize: str = "speed", packings: Mapping[str, str] | None = None
) -> Estimate:
    """What the model takes on the board; a model that the firmware cannot hold is IMPOSSIBLE.

    Args:
        optimize: "speed", or "size", as `build` has it.
        packings: layer -> how its weights lie, where that is not a byte each, as of `c_source.make_plan`; None: as
            `build` does it, which packs weights where the model does not fit otherwise.
    """
    family = c_source.PLAIN if optimize == "size" else board.cpu.kernels
    try:
        core, rest = core_of(board), rest_of(board)

        def flash_of(tried: Mapping[str, str]) -> int:
            plan, tables, _ = _planned(model, family, tuple(tried.items()))
            require_fit(board, plan)
            return rest.code + tables + model_code_bytes(plan, core)

        if packings is None:
            anyway = _planned(model, family, ())[0].packed_anyway
            packings = c_source.packings_that_fit(model, board.flash_budget_bytes, flash_of, anyway)
        plan, tables, workspace = _planned(model, family, tuple(packings.items()))
        flash = flash_of(packings)
    except BadInputError as error:
        return Estimate(IMPOSSIBLE, problem=str(error))
    ram = rest.ram + buffer_bytes_of(board, plan) + stack_bytes_of(board, plan)
    return _judged(
        board,
        flash,
        ram,
        tables_bytes=tables,
        workspace_bytes=workspace,
        count=count_of(plan, costs_of(board)),
        not_measured=tuple(sorted(users_of(plan).keys() - core.sources.keys())),
        packing=dict(packings),
    )


def with_sizes(each: Estimate, board: Board, sizes: Sizes | None, said: str) -> Estimate:
    """The estimate with the sizes of the firmware that was built.

    Args:
        sizes: None if it cannot be built.
        said: the toolchain, or, without sizes, why there are none.
    """
    if sizes is None:
        return Estimate(IMPOSSIBLE, problem=said)
    others = {name: getattr(each, name) for name in ("tables_bytes", "workspace_bytes", "count", "packing")}
    return _judged(board, sizes.flash, sizes.ram, toolchain=said, **others)


def at_least(weights: int, board: Board) -> Estimate:
    """What a network of more than `MOST_WEIGHTS` takes on a board: a byte of flash for each weight, and more."""
    if weights <= board.flash_budget_bytes:
        return Estimate(IMPOSSIBLE, problem=f"{weights:,} weights are too many: at most {MOST_WEIGHTS:,} are estimated")
    return Estimate(TOO_BIG, weights, flash_over=weights - board.flash_budget_bytes)


@lru_cache(maxsize=8)
def _planned(model: QuantizedModel, family: str, packings: tuple[tuple[str, str], ...]) -> tuple[Plan, int, int]:
    """The plan, with the bytes of its tables and of its workspace: the same for all boards with these kernels."""
    plan = c_source.make_plan(model, family, dict(packings))
    facts = c_source.facts(plan)
    return plan, facts["table_bytes"], facts["workspace_bytes"]


def _judged(board: Board, flash: int, ram: int, **others: Any) -> Estimate:
    """The verdict on so many bytes of flash and RAM; `others` are the estimate's other fields."""
    over = (max(0, flash - board.flash_budget_bytes), max(0, ram - board.ram_budget_bytes))
    tight = flash > TIGHT_SHARE * board.flash_budget_bytes or ram > TIGHT_SHARE * board.ram_budget_bytes
    return Estimate(TOO_BIG if any(over) else TIGHT if tight else FITS, flash, ram, *over, **others)


def model_code_bytes(plan: Plan, core: Core) -> int:
    """Code of the kernels and of what they need of the compiler's library, generated code, names, logits."""
    sources = users_of(plan)
    library = {part for source in sources for part in core.needs.get(source, ())}
    usual = max(core.calls.values())
    kernels = [
        kind_of_kernel(step, kernel, divisible=plan.divisible)
        for placed in plan.steps
        for step, kernel, _ in placed.parts
    ]
    code = sum(_bytes_of(core.sources.get(source, {"": 0}), users) for source, users in sources.items())
    code += sum(core.library[part] for part in library)
    calls = core.calls[""] + sum(core.calls.get(kernel, usual) for kernel in kernels)
    return code + calls + names_and_logits_bytes(plan.model)


def users_of(plan: Plan) -> dict[str, str]:
    """The kernels' files that are compiled, each with the kernels that use it: the linker leaves out the rest."""
    users: dict[str, set[str]] = {}
    for placed in plan.steps:
        for step, kernel, _ in placed.parts:
            kind = kind_of_kernel(step, kernel, divisible=plan.divisible)
            for source in kernel.sources:
                if source.endswith((".c", ".S")):
                    users.setdefault(source, set()).add(kind)
    return {source: _BETWEEN_KINDS.join(sorted(kinds)) for source, kinds in users.items()}


def _bytes_of(sizes: Mapping[str, int], users: str) -> int:
    """Of a file with those users: what it takes with the fewest others that were measured, or else the most."""
    kinds = set(users.split(_BETWEEN_KINDS))
    return min((size for each, size in sizes.items() if kinds <= set(each.split(_BETWEEN_KINDS))), default=sizes[""])


def names_and_logits_bytes(model: QuantizedModel) -> int:
    """The banner's line of class names, and the logits of the self-test."""
    return len(c_source.classes_line(model).encode()) + GOLDEN_COUNT * math.prod(model.output.shape)


def count_of(plan: Plan, core: CoreCosts) -> Count | None:
    """What an inference takes; None if a kernel was not measured."""
    total = least = most = 0.0
    nearest = _WITHOUT_MULTIPLIER if FAMILIES[core.kernels].is_small else _NEVER_NEARER
    for placed in plan.steps:
        for step, kernel, times in placed.parts:
            cost = core.counts.get(kind_of_kernel(step, kernel, divisible=plan.divisible))
            if cost is None:
                return None
            count = times * cost.of(loops_of(step, kernel, is_last=placed.is_last and not placed.kernel.parts))
            low, high = min(cost.low, -nearest), max(cost.high, nearest)
            total, least, most = total + count, least + count / (1 + high), most + count / (1 + low)
    return Count(core.unit, round(total), round(least), round(most))
