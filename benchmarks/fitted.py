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
from lenet_edge.formats.c_source.plan import PlacedStep, Plan
from lenet_edge.hardware.elf import Elf

_NINE_IN_TEN = (0.05, 0.95)


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


def fitted_cost(kernel: str, rows: Sequence[tuple[Mapping[str, int], int]]) -> Cost:
    """Instructions for each feature, and how far off the estimate of each step is that is made from the others."""
    # Of what was measured as the last step only, nothing says what the search for the largest takes: outputs have all.
    always_last = all(found["compared"] == found.get("outputs") for found, _ in rows)
    names = [name for name in rows[0][0] if name != "compared" or not always_last]
    counts = np.array([count for _, count in rows], float)
    matrix = np.array([[found[name] for name in names] for found, _ in rows], float) / counts[:, None]
    by = matrix.max(axis=0)
    by[by == 0] = 1
    scaled, ones = matrix / by, np.ones(len(rows))
    others = [np.arange(len(rows)) != row for row in range(len(rows))] if len(rows) > 1 else [np.array([True])]
    errors = [float(scaled[row] @ not_negative(scaled[rest], ones[rest])) - 1 for row, rest in enumerate(others)]
    print(f"{kernel}: {len(rows)} steps, {100 * min(errors):+.0f} to {100 * max(errors):+.0f} %", flush=True)
    each = zip(names, not_negative(scaled, ones) / by, strict=True)
    costs = {name: float(f"{value:.4g}") for name, value in each if value > 0}
    low, high = np.quantile(errors, _NINE_IN_TEN)
    return Cost(len(rows), round(min(0.0, float(low)), 3), round(max(0.0, float(high)), 3), costs)


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
