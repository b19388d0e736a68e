"""Measures what `fits` and the choice of kernels are based on: builds and runs models of many shapes on each processor.

    make estimates                           # writes estimate/measured.json and formats/c_source/costs.json; minutes
    python benchmarks/estimates.py cortex-m4 # after a change of its kernels: these cores only
    python benchmarks/estimates.py --boards  # after a change of firmware/app, arch or port: only what boards take

Bytes come from the linker's map, file by file; instructions, or cycles on an AVR, from the emulator, layer by layer. A
cost is a sum over `loops_of` with coefficients that are not negative, by least squares of the relative errors.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "targets")]

import candidates  # noqa: E402
import estimated_networks  # noqa: E402
import workbench  # noqa: E402

from lenet_edge.errors import BadInputError  # noqa: E402
from lenet_edge.estimate.board import model_code_bytes, users_of  # noqa: E402
from lenet_edge.estimate.measured import Core, Measured, Rest, core_among, measured, write_measured  # noqa: E402
from lenet_edge.formats import c_source  # noqa: E402
from lenet_edge.formats.c_source.costs import CoreCosts, Cost, Costs, costs, write_costs  # noqa: E402
from lenet_edge.formats.c_source.loops import kind_of_kernel, loops_of  # noqa: E402
from lenet_edge.formats.c_source.plan import PlacedStep, Plan  # noqa: E402
from lenet_edge.hardware import boards, firmware, session, toolchain  # noqa: E402
from lenet_edge.hardware.boards import Board  # noqa: E402
from lenet_edge.hardware.elf import Elf  # noqa: E402
from lenet_edge.hardware.limits import buffer_bytes_of, require_fit, stack_bytes_of  # noqa: E402
from lenet_edge.quantized.model import QuantizedModel  # noqa: E402

_MOST = 4  # candidates of a step
_NINE_IN_TEN = (0.05, 0.95)
_ROOMY = (1 << 24, 1 << 24)
# GCC 12 compiles all kernels to the same bytes for these; for the M7 with another schedule, 1 % longer. LPM is as
# long as ELPM, and takes as many cycles.
_SAME_CODE = {
    "avr5": "avr6",
    "cortex-m0": "cortex-m0plus",
    "cortex-m33": "cortex-m4",
    "cortex-m7": "cortex-m4",
    "rv32imc": "rv32imac",
}
_PLACED = re.compile(r"^ (\.\S+)\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S+?\.[oa])(?:\((\S+\.o)\))?$", re.MULTILINE)
_IN_FLASH = (".text", ".rodata", ".data", ".progmem", ".srodata", ".sdata", ".literal")


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


@dataclass(frozen=True)
class Builder:
    """Builds firmware of one board; what does not depend on the model is compiled once."""

    board: Board
    compiled: dict[str, bytes] = field(default_factory=dict)

    def build(self, model: QuantizedModel, family: str) -> Built | None:
        """None where a limit of the firmware is exceeded, or the kernels do not take the model."""
        try:
            plan = c_source.make_plan(model, family)
            require_fit(self.board, plan)
        except BadInputError:
            return None
        compiler = toolchain.choose(self.board)
        mapped = replace(compiler, libraries=(*compiler.libraries, "-Wl,-Map=firmware.linked"))
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary).resolve()
            firmware._write_sources(plan, self.board, folder, 0)
            kernels = [path.name for path in (folder / "kernels").iterdir() if path.suffix in (".c", ".S")]
            objects = [folder / "kernels" / f"{name}.o" for name in kernels if name != "le_model.c"]
            for path in objects:
                if path.name in self.compiled:
                    path.write_bytes(self.compiled[path.name])
            elf = self._link(mapped, folder, stack_bytes_of(self.board, plan))
            self.compiled.update({path.name: path.read_bytes() for path in objects})
            text = (folder / "firmware.linked").read_text(encoding="utf-8", errors="replace")
        return Built(plan, elf, *_parts(text))

    def _link(self, compiler: toolchain.Toolchain, folder: Path, stack: int) -> bytes:
        try:
            regions = (self.board.flash.size_bytes, self.board.ram.size_bytes)
            return firmware._link(compiler, self.board, folder, stack, regions)
        except toolchain.LinkOverflowError:
            return firmware._link(compiler, self.board, folder, stack, _ROOMY)


def _parts(text: str) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """From a linker's map the bytes in flash by object file, and by member of a library."""
    objects: dict[str, int] = defaultdict(int)
    library: dict[str, int] = defaultdict(int)
    placed = re.sub(r"^( \.\S+)\n\s+", r"\1 ", text.partition("memory map")[2], flags=re.MULTILINE)
    for section, size, name, member in _PLACED.findall(placed):
        if section.startswith(_IN_FLASH):
            (library if member else objects)[member or name] += int(size, 16)
    return objects, {member: size for member, size in library.items() if size}


def runs(built: Built, board: Board) -> Iterator[tuple[str, Mapping[str, int], int]]:
    """(kernel, features, the mean count) of each step."""
    images = workbench.images(built.plan.model, 2, 1)
    with tempfile.TemporaryDirectory() as temporary:
        elf = Path(temporary) / "firmware.elf"
        elf.write_bytes(built.elf)
        with session.connect(board, elf, built.plan.model.fingerprint, count=True) as running:
            running.device.infer_all(images)
            calls = running.counts()[-len(images) :]
    parts = np.array([call.cycles or call.instructions for call in calls])
    for index, placed in enumerate(built.plan.steps):
        loops = loops_of(placed.step, placed.kernel, is_last=placed.is_last)
        yield _kind(built.plan, placed), loops, round(parts[:, index + 1].mean())


def _kind(plan: Plan, placed: PlacedStep) -> str:
    return kind_of_kernel(placed.step, placed.kernel, divisible=plan.divisible)


def variants(builder: Builder) -> Iterator[Built]:
    """Each model with the plain kernels, and with each candidate of the board's family that was not seen yet."""
    weighted = [*estimated_networks.measured(), *estimated_networks.measured_off_the_grid()]
    for model in (*weighted, *estimated_networks.operators()):
        seen = set[tuple[str, ...]]()
        for family, index in ((c_source.PLAIN, 0), *((builder.board.cpu.kernels, index) for index in range(_MOST))):
            with candidates.numbered(index):
                names = tuple(placed.kernel.name for placed in c_source.make_plan(model, family).steps)
                built = None if names in seen else builder.build(model, family)
            seen.add(names)
            if built is not None:
                yield built


def measure_core(board: Board) -> tuple[Core, CoreCosts]:
    """The entries of a processor, measured on one board that has it."""
    builder, every = Builder(board), list[Built]()
    counted: dict[str, list[tuple[Mapping[str, int], int]]] = defaultdict(list)
    for built in variants(builder):
        every.append(built)
        image = built.image
        fits = image.static_ram_bytes + stack_bytes_of(board, built.plan) <= board.ram.size_bytes
        if fits and image.flash_bytes <= board.flash.size_bytes:
            for kernel, found, count in runs(built, board):
                counted[kernel].append((found, count))
    if keep := os.environ.get("LENET_EDGE_COUNTED"):  # to look at
        Path(keep, f"{board.name}.json").write_text(json.dumps(counted))
    emulator = session.choose_emulator(board)
    facts: dict[str, Any] = {
        "cores": (board.cpu.core, *(core for core, same in _SAME_CODE.items() if same == board.cpu.core)),
        "kernels": board.cpu.kernels,
        "arch": board.cpu.arch,
        "board": board.name,
        "toolchain": toolchain.version(toolchain.choose(board)),
    }
    unit = "cycles" if emulator == "simavr" else "instructions"
    counts = {kind: fitted_cost(kind, rows) for kind, rows in sorted(counted.items())}
    return Core(**facts, **sizes_of_code(every)), CoreCosts(**facts, emulator=emulator, unit=unit, counts=counts)


def sizes_of_code(every: Sequence[Built]) -> dict[str, Any]:
    """Bytes of the kernels' files, of the generated code, and which of the compiler's library each file needs."""
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
        kernels = [_kind(built.plan, placed) for placed in built.plan.steps]
        calls.append((kernels, built.objects["kernels/le_model.c.o"] - c_source.facts(built.plan)["table_bytes"]))
    own = {path: tuple(sorted(members - needs[""])) for path, members in sorted(needs.items()) if path}
    return {
        "sources": {path: _short(by_users) for path, by_users in sorted(sources.items())},
        "library": {name: size for name, size in sorted(library.items()) if name not in needs[""]},
        "needs": {path: members for path, members in own.items() if members},
        "calls": fitted_calls(calls),
    }


def _short(sizes: Mapping[str, int]) -> dict[str, int]:
    """The most, and what is less."""
    most = max(sizes.values())
    return {"": most, **{users: size for users, size in sorted(sizes.items()) if size < most}}


def fitted_calls(rows: Sequence[tuple[list[str], int]]) -> dict[str, int]:
    """Bytes of generated code for a step of each kernel, and of what every model has."""
    names = sorted({name for kernels, _ in rows for name in kernels})
    matrix = np.array([[1, *(kernels.count(name) for name in names)] for kernels, _ in rows], float)
    found = not_negative(matrix, np.array([size for _, size in rows], float))
    return dict(zip(["", *names], (round(value) for value in found), strict=True))


def fitted_cost(kernel: str, rows: Sequence[tuple[Mapping[str, int], int]]) -> Cost:
    """Instructions for each feature, and how far off the estimate of each step is that is made from the others."""
    names = list(rows[0][0])
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


def measure_board(board: Board, core: Core) -> Rest:
    """What a board's firmware takes besides kernels and model."""
    built = Builder(board).build(estimated_networks.measured()[0], board.cpu.kernels)
    assert built is not None
    tables = c_source.facts(built.plan)["table_bytes"]
    code = built.image.flash_bytes - tables - model_code_bytes(built.plan, core)
    ram = built.image.static_ram_bytes - buffer_bytes_of(board, built.plan)
    return Rest(board.name, board.port.family, board.cpu.core, board.cpu.arch, code, ram)


def main() -> None:
    """Measures each kind of processor on the board of it with the most RAM, then every board; or only these."""
    every, asked = [boards.load(name) for name in boards.board_names()], sys.argv[1:]
    cores = measured().cores if asked == ["--boards"] else measure_cores(every, asked)
    write_measured(Measured(cores, tuple(measure_board(board, core_among(cores, board)) for board in every)))
    print("wrote measured.json and costs.json")


def measure_cores(every: Sequence[Board], asked: Sequence[str]) -> tuple[Core, ...]:
    """Writes the costs, of all kinds of processors or of those asked for by core; returns the sizes of all."""
    kinds: dict[tuple[str, str], Board] = {}
    for board in sorted(every, key=lambda board: board.ram.size_bytes):
        if board.cpu.core not in _SAME_CODE:
            kinds[board.cpu.core, board.cpu.kernels] = board
    if unknown := set(asked) - {core for core, _ in kinds}:
        sys.exit(f"no board of {', '.join(sorted(unknown))}; cores: {', '.join(sorted(core for core, _ in kinds))}")
    wanted = [kinds[kind] for kind in sorted(kinds) if not asked or kind[0] in asked]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip([board.cpu.core for board in wanted], pool.map(measure_core, wanted), strict=True))
    if not asked:
        write_costs(Costs(tuple(counted for _, counted in found.values())))
        return tuple(core for core, _ in found.values())
    write_costs(Costs(tuple(found[old.cores[0]][1] if old.cores[0] in found else old for old in costs().cores)))
    return tuple(found[old.cores[0]][0] if old.cores[0] in found else old for old in measured().cores)


if __name__ == "__main__":
    main()
