"""Measures what `fits` and the choice of kernels are based on: builds and runs models of many shapes on each processor.

    make estimates                           # writes estimate/measured.json and formats/c_source/costs.json; minutes
    python benchmarks/estimates.py cortex-m4 # after a change of its kernels, or for a new core: these cores only
    python benchmarks/estimates.py --few-bits  # after a change of packed kernels: only models of few bits, or of
                                               # connections that are not there; of all cores, or those named behind it
    python benchmarks/estimates.py --poolings  # the same after a change of le_pool2d_fours.c
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "targets")]

import candidates  # noqa: E402
import estimated_few_bits  # noqa: E402
import estimated_networks  # noqa: E402
import estimated_poolings  # noqa: E402
import workbench  # noqa: E402
from fitted import Built, fitted_cost, kind_in, sizes_of_code  # noqa: E402

from lenet_edge.errors import BadInputError  # noqa: E402
from lenet_edge.estimate.board import model_code_bytes  # noqa: E402
from lenet_edge.estimate.measured import Core, Measured, Rest, core_among, measured, write_measured  # noqa: E402
from lenet_edge.formats import c_source  # noqa: E402
from lenet_edge.formats.c_source.costs import CoreCosts, Cost, Costs, costs, write_costs  # noqa: E402
from lenet_edge.formats.c_source.families import FAMILIES  # noqa: E402
from lenet_edge.formats.c_source.loops import loops_of  # noqa: E402
from lenet_edge.hardware import boards, firmware, session, toolchain  # noqa: E402
from lenet_edge.hardware.boards import Board  # noqa: E402
from lenet_edge.hardware.limits import buffer_bytes_of, require_fit, stack_bytes_of  # noqa: E402
from lenet_edge.quantized.model import QuantizedModel  # noqa: E402

_MOST = 4  # candidates of a step
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
# Of these the count differs where kernels of few bits read flash or call: an AVR5 has no RAMPZ to set, and return
# addresses of two bytes. Its boards have so little RAM that it has the other's costs where fewer steps could be run.
_COUNTED_APART = {"avr5": "avr6"}
_FEW_BITS, _POOLINGS = "--few-bits", "--poolings"
_ENOUGH_STEPS = 12
_LITTLE_RAM = 1 << 13
# Kinds of kernels to whose costs nothing is fitted but what `few_bits` has.
_OF_FEW = ("packed", "connected", "avr trits", "avr matrix, 4 bits")
_OF_POOLINGS = "four channels at once"
_NONE: Mapping[str, str] = {}
_PLACED = re.compile(r"^ (\.\S+)\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S+?\.[oa])(?:\((\S+\.o)\))?$", re.MULTILINE)
_IN_FLASH = (".text", ".rodata", ".data", ".progmem", ".srodata", ".sdata", ".literal")


@dataclass(frozen=True)
class Builder:
    """Builds firmware of one board; what does not depend on the model is compiled once."""

    board: Board
    compiled: dict[str, bytes] = field(default_factory=dict)

    def build(self, model: QuantizedModel, family: str, packings: Mapping[str, str] = _NONE) -> Built | None:
        """None where a limit of the firmware is exceeded, or the kernels do not take the model."""
        try:
            plan = c_source.make_plan(model, family, packings)
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
        yield kind_in(built.plan, placed), loops, round(parts[:, index + 1].mean())


def variants(builder: Builder) -> Iterator[Built]:
    """Each model with the plain kernels, and with each candidate of the board's family that was not seen yet."""
    weighted = [*estimated_networks.measured(), *estimated_networks.measured_off_the_grid()]
    for model in (*weighted, *estimated_networks.operators(), *estimated_poolings.measured_poolings()):
        seen = set[tuple[str, ...]]()
        for family, index in ((c_source.PLAIN, 0), *((builder.board.cpu.kernels, index) for index in range(_MOST))):
            with candidates.numbered(index):
                names = tuple(placed.kernel.name for placed in c_source.make_plan(model, family).steps)
                built = None if names in seen else builder.build(model, family)
            seen.add(names)
            if built is not None:
                yield built


def few_bits(builder: Builder) -> Iterator[Built]:
    """Models with packed weights, with the board's kernels; if it has its own packed ones, with the portable ones too.

    Then those with a table of connections, which the plain kernels read. Of a family that is there for its few bytes
    all models, with no other kernels: who wants fast ones takes another board.
    """
    own = builder.board.cpu.kernels
    is_small, packed = FAMILIES[own].is_small, tuple(estimated_few_bits.measured_few_bits())
    families = (own,) if is_small or FAMILIES[own].packed is None else (own, c_source.PLAIN)
    wanted = [(model, family, packings) for model, packings in packed for family in families]
    if is_small:
        wanted += [(model, own, {}) for model in estimated_networks.measured()]
    else:
        wanted += [(model, c_source.PLAIN, {}) for model in estimated_few_bits.measured_connected()]
    for model, family, packings in wanted:
        if (built := builder.build(model, family, packings)) is not None:
            yield built


def poolings(builder: Builder) -> Iterator[Built]:
    """Models with nothing but poolings."""
    built = (builder.build(model, builder.board.cpu.kernels) for model in estimated_poolings.measured_poolings())
    return (each for each in built if each is not None)


_PARTS: Mapping[str, tuple[Callable[[Builder], Iterator[Built]], Callable[[str], bool]]] = {
    _FEW_BITS: (few_bits, lambda kind: kind.startswith(_OF_FEW)),
    _POOLINGS: (poolings, lambda kind: kind.endswith(_OF_POOLINGS)),
}
"""A part of all models, and which kinds of kernels are fitted to it."""


def measure_core(
    board: Board, known: tuple[Core, CoreCosts] | None = None, part: str = _FEW_BITS
) -> tuple[Core, CoreCosts]:
    """The entries of a processor, measured on one board that has it.

    Args:
        known: its entries so far, where only the models of a part are to be measured.
        part: of `_PARTS`.
    """
    board = _roomy(board)
    builder, every, is_small = Builder(board), list[Built](), FAMILIES[board.cpu.kernels].is_small
    counted: dict[str, list[tuple[Mapping[str, int], int]]] = defaultdict(list)
    models, is_renewed = _PARTS[part]
    for built in chain(variants(builder) if known is None and not is_small else (), models(builder)):
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
    old: Mapping[str, Cost] = {} if known is None else known[1].counts
    asked = {kind for kind in counted if kind not in old or is_small or is_renewed(kind)}
    counts = {kind: fitted_cost(kind, rows) for kind, rows in counted.items() if kind in asked}
    counts = dict(sorted({**old, **counts}.items()))
    sizes = sizes_of_code(every, known and known[0])
    return Core(**facts, **sizes), CoreCosts(**facts, emulator=emulator, unit=unit, counts=counts)


def _roomy(board: Board) -> Board:
    """A board whose emulator gives it memory for larger models, if its own holds nearly none."""
    if board.emulator.unicorn is None or board.ram.size_bytes >= _LITTLE_RAM:
        return board
    flash, ram, stack = (
        replace(part, size_bytes=size)
        for part, size in ((board.flash, 1 << 20), (board.ram, 1 << 18), (board.stack, 1 << 10))
    )
    return replace(board, flash=flash, ram=ram, stack=stack)


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
    before = measured().boards if _PARTS.keys() & set(asked) else ()  # whose firmware has nothing of what was measured
    rests = before or tuple(measure_board(board, core_among(cores, board)) for board in every)
    write_measured(Measured(cores, rests))
    print("wrote measured.json and costs.json")


def measure_cores(every: Sequence[Board], asked: Sequence[str]) -> tuple[Core, ...]:
    """Writes the costs, of all kinds of processors or of those asked for by core; returns the sizes of all."""
    kinds: dict[tuple[str, str], Board] = {}
    for board in sorted(every, key=lambda board: board.ram.size_bytes):
        if board.cpu.core not in _SAME_CODE:
            kinds[board.cpu.core, board.cpu.kernels] = board
    part = next((name for name in asked if name in _PARTS), "")
    names = {name for name in asked if name not in _PARTS}
    if unknown := names - {core for core, _ in kinds}:
        sys.exit(f"no board of {', '.join(sorted(unknown))}; cores: {', '.join(sorted(core for core, _ in kinds))}")
    wanted = [kinds[kind] for kind in sorted(kinds) if not names or kind[0] in names]
    known = {(core.cores[0], core.kernels): core for core in measured().cores}
    counted = {(core.cores[0], core.kernels): core for core in costs().cores}
    before = [_known(known, counted, board) if part else None for board in wanted]
    parts = [part or _FEW_BITS] * len(wanted)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for size, cost in pool.map(measure_core, wanted, before, parts):
            known[size.cores[0], size.kernels], counted[size.cores[0], size.kernels] = size, cost
    for core, kin in _COUNTED_APART.items():
        for board in [board for board in every if board.cpu.core == core and kin in {each.cpu.core for each in wanted}]:
            kind = kin, board.cpu.kernels
            counted[kind], counted[core, kind[1]] = _apart(board, known[kind], counted[kind], part)
    order = sorted(counted, key=lambda kind: (kind[0] in _COUNTED_APART, kind))  # choices are a family's first one's
    write_costs(Costs(tuple(counted[kind] for kind in order)))
    return tuple(known[kind] for kind in sorted(kinds) if kind in known)


def _known(
    sizes: Mapping[tuple[str, str], Core], counted: Mapping[tuple[str, str], CoreCosts], board: Board
) -> tuple[Core, CoreCosts]:
    kind = board.cpu.core, board.cpu.kernels
    if kind not in sizes or kind not in counted:
        sys.exit(f"{board.cpu.core} was never measured: leave out {' and '.join(_PARTS)}")
    return sizes[kind], counted[kind]


def _apart(board: Board, sizes: Core, kin: CoreCosts, part: str) -> tuple[CoreCosts, CoreCosts]:
    """The costs of the kin without the board's core, and the core's: its own of kernels of few bits, else the kin's."""
    if part == _POOLINGS:  # the own ones stay
        own = next(each for each in costs().cores if each.cores[0] == board.cpu.core)
        kin = replace(kin, cores=tuple(core for core in kin.cores if core != board.cpu.core))
        renewed = {kind: cost for kind, cost in kin.counts.items() if kind.endswith(_OF_POOLINGS)}
        return kin, replace(own, counts=dict(sorted({**own.counts, **renewed}.items())))
    own = measure_core(board, (sizes, kin))[1]
    counts = {
        kind: cost if kind.startswith(_OF_FEW) and cost.steps >= _ENOUGH_STEPS else kin.counts[kind]
        for kind, cost in own.counts.items()
        if kind in kin.counts
    }
    others = tuple(core for core in kin.cores if core != board.cpu.core)
    return replace(kin, cores=others), replace(own, counts=counts)


if __name__ == "__main__":
    main()
