"""Writes the docs' table of boards: what LeNet-5 takes of each board's flash and RAM.

    make board-table                       # builds the firmware of every board, and writes docs/reference/boards.md
    python benchmarks/board_table.py --check   # exit 1 where the table there is another

The model is the random LeNet-5 of the tests (see measure.py). A board is built with GCC where it has it, for speed, and
it fails if it does not fit. A board whose flash is smaller than the weights gets the same with ternary weights.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "targets")]

import workbench  # noqa: E402
from few_bits_models import with_levels  # noqa: E402

from lenet_edge.files import write_file  # noqa: E402
from lenet_edge.hardware import boards, firmware  # noqa: E402
from lenet_edge.hardware.boards import Board  # noqa: E402
from lenet_edge.hardware.firmware import Sizes  # noqa: E402

PAGE = HERE.parent / "docs" / "reference" / "boards.md"
BEGIN, END = "<!-- board-table: make board-table writes what is between -->\n", "<!-- board-table: end -->\n"
TERNARY = with_levels(workbench.LENET5, 1)
_EMULATORS = {"unicorn": "Unicorn", "qemu": "QEMU", "simavr": "simavr"}


def row(board: Board, sizes: Sizes) -> str:
    """The line of one board."""
    emulators = [shown for name, shown in _EMULATORS.items() if getattr(board.emulator, name) is not None]
    runs = ", ".join(emulators) if board.status == boards.RUNS else board.status
    flash, ram = _share(sizes.flash, board.flash.size_bytes), _share(sizes.ram, board.ram.size_bytes)
    flash += "" if board.name in workbench.holders() else ", ternary"
    return f"| `{board.name}` | {board.title} | {board.cpu.core} | {flash} | {ram} | {runs} |\n"


def _share(used: int, available: int) -> str:
    return f"{used:,} of {available / 1024:,g} KB ({100 * used / available:.0f} %)"


def table(sizes: dict[str, Sizes]) -> str:
    """The table of the boards that are named."""
    rows = [row(boards.load(name), sizes[name]) for name in sorted(sizes)]
    return "| board | | core | flash | RAM | |\n|---|---|---|---|---|---|\n" + "".join(rows)


def in_page(text: str) -> str:
    """The table that the page has."""
    return text.partition(BEGIN)[2].partition(END)[0]


def build(name: str, folder: Path) -> Sizes:
    """The sizes of a board's firmware, built into its own folder."""
    board = boards.load(name)
    toolchain = "gcc" if board.toolchain.gcc is not None else "auto"
    model = workbench.LENET5 if name in workbench.holders() else TERNARY
    return firmware.build(model, board, folder / name, toolchain=toolchain).sizes


def main() -> None:
    """Builds all boards; then writes the page, or with --check compares."""
    with tempfile.TemporaryDirectory() as temporary:
        made = table({name: build(name, Path(temporary)) for name in boards.board_names()})
    text = PAGE.read_text(encoding="utf-8")
    if "--check" in sys.argv[1:]:
        sys.exit(
            0
            if in_page(text) == made
            else "the table of docs/reference/boards.md is not what is built: make board-table"
        )
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    write_file(PAGE, (before + BEGIN + made + END + after).encode())
    print(f"wrote {PAGE.name}")


if __name__ == "__main__":
    main()
