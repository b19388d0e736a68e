"""Measures what `fits` and the choice of kernels are based on: builds and runs models of many shapes on each processor.

    make estimates                           # writes estimate/measured.json and formats/c_source/costs.json; minutes
    python benchmarks/estimates.py cortex-m4 # after a change of its kernels, or for a new core: these cores only
    python benchmarks/estimates.py --few-bits  # after a change of packed kernels: only models of few bits, or of
                                               # connections that are not there; of all cores, or those named behind it
    python benchmarks/estimates.py --plain     # after a change of plain or shared kernels: only these
    python benchmarks/estimates.py --poolings  # the same after a change of le_pool2d_fours.c, le_mean_fours.c
    python benchmarks/estimates.py --moves     # the same after a change of le_move_words.c
    python benchmarks/estimates.py --boards  # after a change of firmware/app, arch or port: only what boards take

Bytes come from the linker's map, file by file; instructions, or cycles on an AVR, from the emulator, layer by layer. A
cost is a sum over `loops_of` with coefficients that are not negative, by least squares of the relative errors
(fitted.py).
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
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "targets")]

import candidates  # noqa: E402
import estimated_few_bits  # noqa: E402
import estimated_moves  # noqa: E402
import estimated_networks  # noqa: E402
import estimated_poolings  # noqa: E402
import workbench  # noqa: E402
from fitted import Built, Run, fitted_costs, kind_in, sizes_of_code  # noqa: E402

from lenet_edge.errors import BadInputError  # noqa: E402
from lenet_edge.estimate.board import model_code_bytes  # noqa: E402
from lenet_edge.estimate.measured import Core, Measured, Rest, core_among, measured, write_measured  # noqa: E402
from lenet_edge.formats import c_source  # noqa: E402
from lenet_edge.formats.c_source.costs import CoreCosts, Cost, Costs, costs, write_costs  # noqa: E402
from lenet_edge.formats.c_source.families import FAMILIES  # noqa: E402
from lenet_edge.formats.c_source.loops import loops_of  # noqa: E402
from lenet_edge.formats.c_source.loops_base import MULTIPLIED  # noqa: E402
from lenet_edge.hardware import boards, firmware, session, toolchain  # noqa: E402
from lenet_edge.hardware.boards import Board  # noqa: E402
from lenet_edge.hardware.limits import buffer_bytes_of, require_fit, stack_bytes_of  # noqa: E402
from lenet_edge.quantized.model import QuantizedModel, macs  # noqa: E402
from lenet_edge.quantized.reference import layer_outputs  # noqa: E402

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
# Of these the count differs where C reads flash: an AVR5 has no RAMPZ to set. Assembly takes the other's cycles.
_COUNTED_APART = {"avr5": "avr6"}
_LARGER = {"avr5": ("atmega644p", 1 << 16, 1 << 12)}  # the same code; the largest of its core
_FEW_BITS, _PLAIN, _POOLINGS, _MOVES = "--few-bits", "--plain", "--poolings", "--moves"
_OF_FEW_BITS = ("packed", "connected", "compact", "avr trits", "avr matrix, 4 bits", "avr packed")
_LITTLE_RAM = 1 << 13
_FEW_MACS = 40_000
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


def runs(built: Built, board: Board) -> Iterator[tuple[str, Run]]:
    """(kernel, the mean of some images) of each step."""
    images = workbench.images(built.plan.model, 2, 1)
    with tempfile.TemporaryDirectory() as temporary:
        elf = Path(temporary) / "firmware.elf"
        elf.write_bytes(built.elf)
        with session.connect(board, elf, built.plan.model.fingerprint, count=True) as running:
            running.device.infer_all(images)
            calls = running.counts()[-len(images) :]
    parts = np.array([call.cycles or call.instructions for call in calls])
    layers = zip(built.plan.model.layers, layer_outputs(built.plan.model, images), strict=True)
    most = 126 if FAMILIES[built.plan.family].is_small else 127  # it does not divide what is above, either
    above = {layer.name: float(((values > -128) & (values <= most)).sum() / len(images)) for layer, values in layers}
    for index, placed in enumerate(built.plan.steps):
        estimated = loops_of(placed.step, placed.kernel, is_last=placed.is_last)
        found = dict[str, float](estimated)
        if MULTIPLIED in found and placed.step.shows in above:
            found[MULTIPLIED] = above[placed.step.shows]
        yield kind_in(built.plan, placed), Run(found, estimated, round(parts[:, index + 1].mean()))


def variants(builder: Builder) -> Iterator[Built]:
    """Each model with the plain kernels, and with each candidate of the board's family that was not seen yet.

    Of a family that is there for its few bytes no candidates: who wants fast ones takes another board.
    """
    own = builder.board.cpu.kernels
    fast = [] if FAMILIES[own].is_small else [(own, index) for index in range(_MOST)]
    for model in (*_weighted(builder.board), *_others(builder.board)):
        seen = set[tuple[str, ...]]()
        for family, index in ((c_source.PLAIN, 0), *fast):
            with candidates.numbered(index):
                names = tuple(placed.kernel.name for placed in c_source.make_plan(model, family).steps)
                built = None if names in seen else builder.build(model, family)
            seen.add(names)
            if built is not None:
                yield built


def few_bits(builder: Builder) -> Iterator[Built]:
    """Models with packed weights, with the board's kernels; if it has its own packed ones, with the portable ones too.

    Then those with a table of connections, which the plain kernels read. A family that is there for its few bytes packs
    weights without being asked to; its plain kernels are measured on what is small enough for them.
    """
    own, packed = builder.board.cpu.kernels, tuple(estimated_few_bits.measured_few_bits())
    wanted = [(model, own, packings) for model, packings in packed]
    portable = [(model, {}) for model in estimated_few_bits.measured_connected()]
    if FAMILIES[own].is_small:
        wanted += [(model, own, {}) for model in estimated_networks.measured()]
        portable += [(model, {}) for model, _ in packed]
    if FAMILIES[own].is_small or FAMILIES[own].packed is not None:
        portable += packed
    wanted += [(model, c_source.PLAIN, packings) for model, packings in portable if _in_time(builder.board, [model])]
    for model, family, packings in wanted:
        if (built := builder.build(model, family, packings)) is not None:
            yield built


def plain(builder: Builder) -> Iterator[Built]:
    """With the plain kernels every second model that has layers with weights, and all others."""
    for model in (*_weighted(builder.board)[::2], *_others(builder.board)):
        if (built := builder.build(model, c_source.PLAIN)) is not None:
            yield built


def _weighted(board: Board) -> list[QuantizedModel]:
    return _in_time(board, [*estimated_networks.measured(), *estimated_networks.measured_off_the_grid()])


def _others(board: Board) -> list[QuantizedModel]:
    without_weights = [*estimated_poolings.measured(), *estimated_moves.measured_moves()]
    return _in_time(board, [*estimated_networks.operators(), *without_weights])


def _in_time(board: Board, models: list[QuantizedModel]) -> list[QuantizedModel]:
    """For a processor without a multiplier those that do not take it minutes."""
    is_small = FAMILIES[board.cpu.kernels].is_small
    return [model for model in models if not is_small or sum(map(macs, model.layers)) <= _FEW_MACS]


def poolings(builder: Builder) -> Iterator[Built]:
    """Models with nothing but poolings and means."""
    for model in estimated_poolings.measured():
        if (built := builder.build(model, builder.board.cpu.kernels)) is not None:
            yield built


def moves(builder: Builder) -> Iterator[Built]:
    """Models with layers that only move values."""
    for model in estimated_moves.measured_moves():
        if (built := builder.build(model, builder.board.cpu.kernels)) is not None:
            yield built


_PARTS: Mapping[str, tuple[Callable[[Builder], Iterator[Built]], Callable[[str], bool]]] = {
    _FEW_BITS: (few_bits, lambda kind: kind.startswith(_OF_FEW_BITS)),
    _PLAIN: (plain, lambda kind: kind.startswith("plain")),
    _POOLINGS: (poolings, lambda kind: kind.endswith("four channels at once")),
    _MOVES: (moves, lambda kind: kind.endswith("in words")),
}
"""A part of all models, and which kinds of kernels are fitted to it."""


def measure_core(
    board: Board, known: tuple[Core, CoreCosts] | None = None, parts: Sequence[str] = ()
) -> tuple[Core, CoreCosts]:
    """The entries of a processor, measured on one board that has it.

    Args:
        known: its entries so far, where not all is measured.
        parts: of `_PARTS`: what is; all by default.
    """
    board = roomy(board)
    builder, every = Builder(board), list[Built]()
    counted: dict[str, list[Run]] = defaultdict(list)
    builds = [_PARTS[part][0] for part in parts] or [variants, few_bits]
    for built in chain.from_iterable(build(builder) for build in builds):
        every.append(built)
        image = built.image
        fits = image.static_ram_bytes + stack_bytes_of(board, built.plan) <= board.ram.size_bytes
        if fits and image.flash_bytes <= board.flash.size_bytes:
            for kernel, run in runs(built, board):
                counted[kernel].append(run)
    if keep := os.environ.get("LENET_EDGE_COUNTED"):  # to look at
        Path(keep, f"{board.name}.json").write_text(json.dumps(counted, default=vars))
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
    asked = {kind for kind in counted if kind not in old or any(_PARTS[part][1](kind) for part in parts)}
    counts = fitted_costs({kind: counted[kind] for kind in asked})
    counts = dict(sorted({**old, **counts}.items()))
    sizes = sizes_of_code(every, known and known[0])
    return Core(**facts, **sizes), CoreCosts(**facts, emulator=emulator, unit=unit, counts=counts)


def roomy(board: Board) -> Board:
    """A board whose emulator gives it memory for larger models, if its own holds nearly none."""
    if board.emulator.simavr is not None and board.cpu.core in _LARGER:
        mcu, flash_bytes, ram_bytes = _LARGER[board.cpu.core]
        assert board.toolchain.gcc is not None
        return replace(
            board,
            flash=replace(board.flash, size_bytes=flash_bytes),
            ram=replace(board.ram, size_bytes=ram_bytes),
            toolchain=replace(board.toolchain, gcc=replace(board.toolchain.gcc, flags=(f"-mmcu={mcu}",))),
            emulator=replace(board.emulator, simavr=replace(board.emulator.simavr, mcu=mcu)),
        )
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
    before = measured().boards if {*_PARTS} & {*asked} else ()  # whose firmware has nothing of what was measured
    rests = before or tuple(measure_board(board, core_among(cores, board)) for board in every)
    write_measured(Measured(cores, rests))
    print("wrote measured.json and costs.json")


def measure_cores(every: Sequence[Board], asked: Sequence[str]) -> tuple[Core, ...]:
    """Writes the costs, of all kinds of processors or of those asked for by core; returns the sizes of all."""
    kinds: dict[tuple[str, str], Board] = {}
    for board in sorted(every, key=lambda board: board.ram.size_bytes):
        if board.cpu.core not in _SAME_CODE:
            kinds[board.cpu.core, board.cpu.kernels] = board
    parts, names = [name for name in asked if name in _PARTS], {name for name in asked if name not in _PARTS}
    if unknown := names - {core for core, _ in kinds}:
        sys.exit(f"no board of {', '.join(sorted(unknown))}; cores: {', '.join(sorted(core for core, _ in kinds))}")
    wanted = [kinds[kind] for kind in sorted(kinds) if not names or kind[0] in names]
    known = {(core.cores[0], core.kernels): core for core in measured().cores}
    counted = {(core.cores[0], core.kernels): core for core in costs().cores}
    before = [_known(known, counted, board) if parts else None for board in wanted]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for size, cost in pool.map(partial(measure_core, parts=parts), wanted, before):
            known[size.cores[0], size.kernels], counted[size.cores[0], size.kernels] = size, cost
    for core, kin in _COUNTED_APART.items():
        for board in [board for board in every if board.cpu.core == core and kin in {each.cpu.core for each in wanted}]:
            kind = kin, board.cpu.kernels
            own, kin_s = (core, kind[1]), counted[kind]
            counted[kind], counted[own] = _apart(board, known[kind], kin_s, counted.get(own), parts or [*_PARTS])
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


def _apart(
    board: Board, sizes: Core, kin: CoreCosts, before: CoreCosts | None, parts: Sequence[str]
) -> tuple[CoreCosts, CoreCosts]:
    """The costs of the kin without the board's core, and the core's: its own of compiled kernels, else the kin's."""
    is_compiled = [is_renewed for _, is_renewed in _PARTS.values()]
    known = {} if before is None else before.counts
    old = {kind: cost for kind, cost in known.items() if any(each(kind) for each in is_compiled)}
    own = measure_core(board, (sizes, replace(kin, counts={**kin.counts, **old})), parts)[1]
    return replace(kin, cores=tuple(core for core in kin.cores if core != board.cpu.core)), own


if __name__ == "__main__":
    main()
