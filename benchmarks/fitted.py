"""What kernels take, from firmware that was built and run: what estimates.py writes is fitted to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lenet_edge.estimate.board import users_of
from lenet_edge.estimate.measured import Core
from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.costs import Cost
from lenet_edge.formats.c_source.loops import kind_of_kernel
from lenet_edge.formats.c_source.loops_base import MULTIPLIED
from lenet_edge.formats.c_source.plan import PlacedStep, Plan
from lenet_edge.hardware.elf import Elf

_NINE_IN_TEN = (0.05, 0.95)
_FEW = 4
_MANY = 20  # steps: of fewer, one in twenty says nothing
_FEW_AND_MANY = (0.5, 1.75)  # of the outputs that are estimated to be multiplied: see `loops_base.multiplied`
_UNKNOWN = (-0.33, 0.5)  # the range where nothing else tells
_LOWEST = -0.9
_PARTS = 60  # of which each is estimated by the others


@dataclass(frozen=True)
class Built:
    """A firmware: its plan, the ELF, and bytes in flash by object file and by what of the compiler's library it has."""

    plan: Plan
    elf: bytes
    objects: Mapping[str, int]
    library: Mapping[str, int]

    @property
    def image(self) -> Elf:
        return Elf(self.elf)


def kind_in(plan: Plan, placed: PlacedStep) -> str:
    return kind_of_kernel(placed.step, placed.kernel, divisible=plan.divisible)


def sizes_of_code(every: Sequence[Built], known: Core | None = None) -> dict[str, Any]:
    """Bytes of the kernels' files, of the generated code, and which of the compiler's library each file needs.

    Args:
        every: firmware of one processor.
        known: what was measured before on other models, to which this is added.
    """
    sources: dict[str, dict[str, int]] = defaultdict(dict)
    library: dict[str, int] = {}
    needs: dict[str, set[str]] = {}
    calls = []
    for built in every:
        library.update(built.library)
        users = users_of(built.plan)
        for path, kinds in users.items():
            size = built.objects.get(f"kernels/{path.rpartition('/')[2]}.o", 0)
            sources[path][kinds] = max(size, sources[path].get(kinds, 0))
        for path in ("", *users):  # "" is what all have
            needs[path] = needs.get(path, set(built.library)) & set(built.library)
        kernels = [kind_in(built.plan, placed) for placed in built.plan.steps]
        calls.append((kernels, built.objects["kernels/le_model.c.o"] - c_source.facts(built.plan)["table_bytes"]))
    everywhere = needs.pop("") - (set() if known is None else known.library.keys())
    if known is not None:
        library = {**known.library, **library}
        for path, members in known.needs.items():
            needs[path] = set(members) & needs.get(path, set(members))
        for path, sizes in known.sources.items():
            sources[path] = {**sizes, **sources[path]}  # "" is the most so far
    own = {path: tuple(sorted(members - everywhere)) for path, members in sorted(needs.items())}
    return {
        "sources": {path: _short(by_users) for path, by_users in sorted(sources.items())},
        "library": {name: size for name, size in sorted(library.items()) if name not in everywhere},
        "needs": {path: members for path, members in own.items() if members},
        "calls": fitted_calls(calls, {} if known is None else known.calls),
    }


def _short(sizes: Mapping[str, int]) -> dict[str, int]:
    """The most, and what is less."""
    most = max(sizes.values())
    return {"": most, **{users: size for users, size in sorted(sizes.items()) if users and size < most}}


def fitted_calls(rows: Sequence[tuple[list[str], int]], known: Mapping[str, int]) -> dict[str, int]:
    """Bytes of generated code for a step of each kernel, and, as "", of what every model has; `known` ones stay."""
    names = sorted({"", *(name for kernels, _ in rows for name in kernels)} - known.keys())
    counts = [["", *kernels] for kernels, _ in rows]
    rest = [size - sum(known.get(name, 0) for name in each) for each, (_, size) in zip(counts, rows, strict=True)]
    matrix = np.array([[each.count(name) for name in names] for each in counts], float)
    found = not_negative(matrix, np.array(rest, float)) if names else ()
    return dict(sorted({**known, **dict(zip(names, (round(value) for value in found), strict=True))}.items()))


@dataclass(frozen=True)
class Run:
    """A step that was run.

    Attributes:
        loops: how often each ran, as of `loops.loops_of`, with what depends on the inputs as it was.
        estimated: the same, as it is estimated without the inputs.
        count: instructions, or cycles.
    """

    loops: Mapping[str, float]
    estimated: Mapping[str, float]
    count: float


def fitted_costs(counted: Mapping[str, Sequence[Run]]) -> dict[str, Cost]:
    """Of each kind of kernel what its loops take; kinds that share code are fitted together."""
    groups: dict[str, dict[str, Sequence[Run]]] = defaultdict(dict)
    for kind, runs in counted.items():
        groups[_group_of(kind)][kind] = runs
    return {kind: cost for group in groups.values() for kind, cost in _fitted_together(group).items()}


_RULES = ("double rounding", "float32")  # of `kind_of_kernel`, without one on the tie-free grid
_WITH_ROUNDING = ("outputs", "fours", "ones")
_IN_WORDS = "in words"  # whatever is moved
_OF_THE_SUMS = ("sums", "rows", "taps", "added", "bytes")


def _parts(kind: str) -> tuple[str, str, list[str]]:
    """Of a kind of kernel its name, the operator, and what else is said."""
    name, _, rest = kind.partition(": ")
    operator, *words = rest.split(", ")
    return name, operator, words


def _group_of(kind: str) -> str:
    """Portable kernels call a function that rounds; those of packed weights also one for each kind of sum."""
    name, operator, words = _parts(kind)
    if _IN_WORDS in words:
        return _IN_WORDS
    if name.startswith("packed, ") and not name.endswith("at once"):
        return f"packed: {'fully_connected' if operator == 'fully_connected' else 'windows'}"
    if name in ("plain", "connected") or name.startswith("packed, "):
        return ", ".join([name, operator, *(word for word in words if word not in _RULES)])
    return kind


def _coefficient_of(kind: str, loop: str) -> tuple[str, ...]:
    """What the loop of a kind of kernel is known by among all that are fitted together: shared code is the same."""
    name, operator, words = _parts(kind)
    if name.startswith("packed, ") and loop in _OF_THE_SUMS:
        return loop, name, *(word for word in words if word.endswith("at once"))
    if _IN_WORDS in words and loop != "calls":
        return (loop,)
    if loop in _WITH_ROUNDING:
        return loop, operator, *(word for word in words if word in _RULES)
    return (loop,) if loop.startswith("edge") or loop in ("compared", MULTIPLIED) else (loop, operator)


def _fitted_together(group: Mapping[str, Sequence[Run]]) -> dict[str, Cost]:
    """Instructions for each loop, and how far off the estimate of each step is that is made without it."""
    rows = [(kind, run) for kind, runs in group.items() for run in runs]
    # Of what was measured as the last step only, nothing says what the search for the largest takes: outputs have all.
    always_last = all(run.loops["compared"] == run.loops.get("outputs") for _, run in rows)
    left_out = {"compared"} if always_last else set()
    names = list(
        dict.fromkeys(_coefficient_of(kind, loop) for kind, run in rows for loop in run.loops if loop not in left_out)
    )
    made, estimated = np.zeros((2, len(rows), len(names)))
    for row, (kind, run) in enumerate(rows):
        for matrix, loops in ((made, run.loops), (estimated, run.estimated)):
            for loop in loops.keys() - left_out:
                matrix[row, names.index(_coefficient_of(kind, loop))] += loops[loop] / run.count
    by = made.max(axis=0)
    by[by == 0] = 1
    coefficients = dict(zip(names, not_negative(made / by, np.ones(len(rows))) / by, strict=True))
    errors = _errors(made / by, estimated / by)
    found = {}
    for kind, runs in group.items():
        own = errors[[row for row, (other, _) in enumerate(rows) if other == kind]]
        multiplication = coefficients.get(_coefficient_of(kind, MULTIPLIED), 0.0)
        own = np.concatenate([_with_other_inputs(*each, multiplication) for each in zip(runs, own, strict=True)])
        print(f"{kind}: {len(runs)} steps, {100 * own.min():+.0f} to {100 * own.max():+.0f} %", flush=True)
        each = {loop: coefficients.get(_coefficient_of(kind, loop), 0.0) for loop in runs[0].loops}
        costs = {loop: float(f"{value:.4g}") for loop, value in each.items() if value > 0}
        found[kind] = Cost(len(runs), *_range_of(own), costs)
    return found


def _with_other_inputs(run: Run, error: float, multiplication: float) -> np.ndarray:
    """The error, and where the inputs decide how many outputs are multiplied, also what it is of fewer and of more."""
    outputs = run.loops.get("outputs") or 4 * run.loops.get("fours", 0) + run.loops.get("ones", 0)
    about = run.estimated.get(MULTIPLIED, outputs)
    if about >= outputs:
        return np.array([error])
    numbers = np.array([run.loops[MULTIPLIED], *(share * about for share in _FEW_AND_MANY)])
    return (1 + error) * run.count / (run.count + multiplication * (numbers - numbers[0])) - 1


def _errors(made: np.ndarray, estimated: np.ndarray) -> np.ndarray:
    """(estimated / counted) - 1 of each step, by what is fitted to the others; of many, to most of them."""
    if len(made) < _FEW:
        return np.resize(_UNKNOWN, len(made))
    parts = np.arange(len(made)) % min(len(made), _PARTS)
    errors = np.zeros(len(made))
    for part in range(parts.max() + 1):
        mine, others = parts == part, parts != part
        errors[mine] = estimated[mine] @ not_negative(made[others], np.ones(others.sum())) - 1
    return errors


def _range_of(errors: np.ndarray) -> tuple[float, float]:
    """Of nine in ten; of few, of all."""
    low, high = np.quantile(errors, _NINE_IN_TEN) if len(errors) >= _MANY else (errors.min(), errors.max())
    return round(min(0.0, max(_LOWEST, float(low))), 3), round(max(0.0, float(high)), 3)


def not_negative(matrix: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Least squares with no coefficient below 0: Lawson, Hanson 1974, "Solving Least Squares Problems", chapter 23."""
    size = matrix.shape[1]
    taken, found = np.zeros(size, bool), np.zeros(size)
    for _ in range(10 * size):
        slope = matrix.T @ (wanted - matrix @ found)
        if taken.all() or slope[~taken].max() < 1e-9 * np.abs(matrix.T @ wanted).max():
            break
        taken[np.argmax(np.where(taken, -np.inf, slope))] = True
        while True:
            trial = np.zeros(size)
            trial[taken] = np.linalg.lstsq(matrix[:, taken], wanted, rcond=None)[0]
            if trial[taken].min(initial=1) > 0:
                break
            wrong = taken & (trial <= 0)
            step = (found[wrong] / np.maximum(found[wrong] - trial[wrong], 1e-30)).min()
            found += step * (trial - found)
            taken &= found > 1e-12
        found = trial
    return found
