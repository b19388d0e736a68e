"""Counts what tests/unit/test_estimated_counts.py compares estimates with, on firmware that is built and run.

    python benchmarks/estimated_counts.py [BOARD ...]  # writes tests/unit/estimated_counts.json; minutes

Run it after a change of kernels that changes counts; estimates.py is the other half of the comparison.
"""

from __future__ import annotations

import json
import sys

import estimates
from estimated_cases import BOARDS, COUNTS, Case, cases

from lenet_edge.estimate import estimate
from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.families import FAMILIES
from lenet_edge.hardware import boards
from lenet_edge.hardware.limits import stack_bytes_of

_MOST_THERE = 4_000_000  # instructions of a chip without a multiplier


def counted(builder: estimates.Builder, case: Case) -> list[int] | None:
    """Instructions or cycles of each step; None where the firmware does not fit the board, or takes minutes."""
    board = builder.board
    family = c_source.PLAIN if case.optimize == "size" else board.cpu.kernels
    found = estimate(case.model, board, case.optimize, case.packings).count
    if FAMILIES[board.cpu.kernels].is_small and (found is None or found.about > _MOST_THERE):
        return None
    built = builder.build(case.model, family, case.packings)
    if built is None:
        return None
    ram = built.image.static_ram_bytes + stack_bytes_of(board, built.plan)
    if ram > board.ram.size_bytes or built.image.flash_bytes > board.flash.size_bytes:
        return None
    return [run.count for _, run in estimates.runs(built, board)]


def main() -> None:
    """Counts on all boards, or on those that are named; what was counted on others stays."""
    found = json.loads(COUNTS.read_text(encoding="utf-8")) if COUNTS.exists() else {}
    for name in sys.argv[1:] or BOARDS:
        builder = estimates.Builder(estimates.roomy(boards.load(name)))
        each = {case: counted(builder, made) for case, made in cases().items()}
        found[name] = {case: counts for case, counts in each.items() if counts is not None}
        print(name, found[name], flush=True)
    lines = (f'"{name}": {{\n{_rows(each)}\n}}' for name, each in sorted(found.items()))
    COUNTS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _rows(each: dict[str, list[int]]) -> str:
    return ",\n".join(f'  "{case}": {json.dumps(counts)}' for case, counts in each.items())


if __name__ == "__main__":
    main()
