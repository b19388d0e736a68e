"""From a model and a board to firmware: generated C and the sources of firmware/, compiled, linked and measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lenet_edge.errors import BadInputError, CheckFailedError
from lenet_edge.files import TEXT_BYTES, read_bytes, temporary_folder
from lenet_edge.formats import c_source
from lenet_edge.hardware import toolchain as compilers
from lenet_edge.hardware.boards import Board
from lenet_edge.hardware.boot_seals import sealed
from lenet_edge.hardware.elf import Elf, to_binary, to_hex, to_map
from lenet_edge.hardware.firmware_headers import board_header, golden_header, golden_images
from lenet_edge.hardware.limits import require_fit, stack_bytes_of
from lenet_edge.hardware.stack_depth import StackDepth, frames_of, stack_depth, taken_in
from lenet_edge.hardware.toolchain import LinkOverflowError, Toolchain
from lenet_edge.hardware.uf2 import to_uf2
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.records import MANIFEST, BuildRecord, Sizes, read_build, write_build
from lenet_edge.resources import firmware_folder

__all__ = ["OPTIMIZE", "Firmware", "Sizes", "build", "golden_images", "load", "measure"]

_FULL_ONLY = ("app/main.c", "app/le_self_test.c", "app/le_frames.c", "app/le_crc32.c")  # of the link
_SMALL_ONLY = ("app/small.c", "app/le_crc32_small.c")
_FAST, _SMALL = "-O2", "-Os"
OPTIMIZE = ("speed", "size")
"""What a firmware can be built for: with the board's fast kernels, or with the plain ones.

These are compiled with -O2 in both: -Os would save 4 % of the code, and take 40 % more instructions."""

_NO_FRAMES = "zig does not tell its frames; take --toolchain gcc"
_ROOMY_BYTES = 1 << 24  # a region that anything fits, to measure what does not fit the board


@dataclass(frozen=True)
class Firmware:
    """A built firmware.

    Attributes:
        folder: where it is.
        board, fingerprint: what it was made for.
        toolchain: what made it.
        optimize: of `OPTIMIZE`.
        family: of the kernels that were preferred.
        image_sha256: of all that is loaded.
        sizes: in bytes.
        like: the runtime whose integers it computes, where these are not TFLM's.
        files: name -> SHA-256, as `build` wrote them.
        packing: layer -> how its weights lie; those that are not there have a byte for each.
        why_packed: why these; empty where it was asked for, or nothing is packed.
        stack_depth, stack_path: bytes of stack that the deepest path of calls takes, and its functions; 0 where none
            was proved.
        stack_inference: bytes that an inference alone takes of it.
        stack_problem: why none was proved.
    """

    folder: Path
    board: str
    fingerprint: str
    toolchain: str
    optimize: str
    family: str
    image_sha256: str
    sizes: Sizes
    files: Mapping[str, str]
    packing: Mapping[str, str]
    why_packed: str
    stack_depth: int
    stack_path: tuple[str, ...]
    stack_inference: int = 0
    stack_problem: str = ""
    like: str | None = None

    @property
    def elf(self) -> Path:
        return self.folder / "firmware.elf"


def build(
    model: QuantizedModel,
    board: Board,
    out: Path,
    *,
    toolchain: str = "auto",
    optimize: str = OPTIMIZE[0],
    row_bytes: int = 0,
    packing: str = c_source.AUTO,
) -> Firmware:
    """Build the firmware of a board into the folder `out`: ELF, HEX, BIN, for some boards UF2, a map and a manifest.

    Args:
        row_bytes: of the longest row of a camera's frame that it takes over the link; 0: it takes none.
        packing: of the weights, as `parse_weight_packing` reads it; auto: a byte for each where these fit the flash,
            else as few layers are packed as it takes, those that save most first.

    Raises:
        MissingToolError: the board's compiler is not installed.
        CheckFailedError: it does not fit the board's flash, RAM or budget.
        BadInputError: the model has something that the kernels do not take, or is beyond what `limits` has.
    """
    compiled = _compile(model, board, toolchain, optimize, packing, row_bytes)
    content, image, sizes = compiled.content, compiled.image, compiled.sizes
    _require_stack(board, compiled.depth, sizes.stack)
    _require_budget(board, compiled, row_bytes)
    contents = {
        "firmware.elf": content,
        "firmware.hex": to_hex(image).encode(),
        "firmware.bin": to_binary(image),
        "firmware.map": to_map(image).encode(),
    }
    if board.flash_tool is not None and board.flash_tool.uf2_family is not None:
        contents["firmware.uf2"] = to_uf2(image, board.flash_tool.uf2_family)
    return Firmware(out, **vars(write_build(out, contents, _record(model, board, compiled, optimize))))


def _record(model: QuantizedModel, board: Board, compiled: _Compiled, optimize: str) -> BuildRecord:
    """The manifest, but for the files."""
    plan, depth = compiled.plan, compiled.depth
    return BuildRecord(
        board=board.name,
        fingerprint=model.fingerprint,
        toolchain=compiled.toolchain,
        optimize=optimize,
        family=plan.family,
        image_sha256=compiled.image.sha256,
        sizes=compiled.sizes,
        files={},
        packing=plan.packings,
        why_packed=compiled.why_packed,
        like=model.metadata.get("like"),
        stack_depth=depth.bytes or 0,
        stack_path=depth.path,
        stack_inference=depth.inference,
        stack_problem=depth.problem,
    )


def measure(
    model: QuantizedModel,
    board: Board,
    *,
    toolchain: str = "auto",
    optimize: str = OPTIMIZE[0],
    packing: str = c_source.AUTO,
) -> tuple[Sizes, str]:
    """Compile the firmware of a board and keep nothing but its sizes, even if they are more than the board has.

    Returns:
        the sizes, and what it was compiled with.

    Raises:
        MissingToolError, BadInputError: as `build`, which has the same arguments.
    """
    compiled = _compile(model, board, toolchain, optimize, packing)
    return compiled.sizes, compiled.toolchain


def load(folder: Path, board: str = "NAME") -> Firmware:
    """The firmware that `build` left in a folder.

    Args:
        board: that messages name in the command which makes it; `Board.argument` where there is a board.

    Raises:
        BadInputError: there is none, or the manifest is not `build`'s.
    """
    if not (folder / MANIFEST).exists():
        raise BadInputError(f"{folder} holds no firmware; make it with: lenet-edge build --board {board}")
    return Firmware(folder, **vars(read_build(folder / MANIFEST, board)))


# --- sources --------------------------------------------------------------------------------------


def _write_sources(plan: c_source.Plan, board: Board, folder: Path, row_bytes: int) -> None:
    """All that is compiled: the generated C, golden logits, what the board's TOML says, the sources of firmware/."""
    top = firmware_folder()
    model, exported = plan.model, c_source.export(plan, top)
    contents: dict[str, bytes] = {f"kernels/{name}": text for name, text in exported.items() if name.startswith("le_")}
    contents["port/le_board.h"] = board_header(model, board, row_bytes, plan).encode()
    if row_bytes:
        sources = c_source.preparation_sources(model, top)
        contents |= {f"kernels/{name}": content for name, content in sources.items()}
    for source, target in (
        (top / "app", "app"),
        (top / "libc", "libc"),
        (top / "arch" / board.cpu.arch, "arch"),
        (board.port_folder, "port"),
    ):
        for path in sorted(path for path in source.iterdir() if path.is_file()):
            contents[f"{target}/{path.name}"] = read_bytes(path, "the source", limit=TEXT_BYTES)
    if not row_bytes:  # even an empty object changes the order of what avr-ld puts in front of the code
        del contents["app/le_frames.c"]
    for name in _FULL_ONLY if board.link == "small" else _SMALL_ONLY:
        contents.pop(name, None)
    if board.link == "full":
        contents["app/le_golden.h"] = golden_header(model).encode()
    contents["arch/le_arch.h"] = read_bytes(top / "arch" / "le_arch.h", "the source")
    contents["port/le_port.h"] = read_bytes(top / "port" / "le_port.h", "the source")
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


# --- compiling ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Compiled:
    """The compiled firmware, whether or not it fits the board."""

    plan: c_source.Plan
    toolchain: str
    content: bytes
    image: Elf
    sizes: Sizes
    depth: StackDepth
    why_packed: str = ""


def _compile(
    model: QuantizedModel, board: Board, toolchain: str, optimize: str, packing: str, row_bytes: int = 0
) -> _Compiled:
    """Compile and link all of it; where `packing` is auto again, with more layers packed, until it fits."""
    family = c_source.PLAIN if optimize == "size" else board.cpu.kernels
    tried: list[_Compiled] = []

    def flash_of(packings: Mapping[str, str]) -> int:
        plan = c_source.make_plan(model, family, packings)
        tried.append(_compile_plan(plan, board, toolchain, row_bytes))
        return tried[-1].sizes.flash

    if packing != c_source.AUTO:
        flash_of(c_source.parse_weight_packing(packing, model))
        return tried[-1]
    packed_anyway = c_source.make_plan(model, family).packed_anyway
    c_source.packings_that_fit(model, board.flash_budget_bytes, flash_of, packed_anyway)
    *others, last = tried
    in_bytes = others[0].sizes.flash if others and not others[0].plan.packings.keys() - packed_anyway else None
    return replace(last, why_packed=_why_packed(last.plan, board, in_bytes))


def _why_packed(plan: c_source.Plan, board: Board, in_bytes: int | None) -> str:
    """Why weights are packed, for the reader; `in_bytes` is the firmware's flash without, where it was compiled."""
    if plan.packings.keys() <= plan.packed_anyway:
        return f"the {plan.family} kernels always pack ternary weights" if plan.packings else ""
    taken = f"weights and biases alone take {c_source.weight_bytes(plan.model):,} bytes with a byte for each weight"
    if in_bytes is not None:
        taken = f"with a byte for each weight the firmware takes {in_bytes:,} bytes"
    return f"{taken}, which do not fit the {board.flash_budget_bytes:,} of {board.name}"


def _compile_plan(plan: c_source.Plan, board: Board, toolchain: str, row_bytes: int) -> _Compiled:
    """Compile and link one plan, in a temporary folder."""
    require_fit(board, plan, row_bytes)
    stack = stack_bytes_of(board, plan)
    compiler = compilers.choose(board, toolchain)
    name = compilers.version(compiler)
    with temporary_folder() as temporary:
        folder = temporary.resolve()
        _write_sources(plan, board, folder, row_bytes)
        try:
            content = _link(compiler, board, folder, stack, (board.flash.size_bytes, board.ram.size_bytes))
        except LinkOverflowError:
            content = _link(compiler, board, folder, stack, (_ROOMY_BYTES, _ROOMY_BYTES))
        frames, taken = frames_of(folder), taken_in(folder) if compiler.name == "gcc" else ()
    image = Elf(content)
    depth = stack_depth(image, frames, taken) if compiler.name == "gcc" else StackDepth(None, problem=_NO_FRAMES)
    return _Compiled(plan, name, content, image, _measure(plan, stack, image), depth)


def _link(compiler: Toolchain, board: Board, folder: Path, stack_bytes: int, regions: tuple[int, int]) -> bytes:
    """Compile what is not compiled yet, link with regions of that size, (flash, RAM) in bytes; the ELF."""
    flash_bytes, ram_bytes = regions
    script = (folder / "arch" / "link.ld.in").read_text()
    values = {
        "FLASH_ORIGIN": board.flash.origin,
        "FLASH_BYTES": flash_bytes,
        "FLASH_DATA_ORIGIN": board.flash.origin if board.flash.data_origin is None else board.flash.data_origin,
        "BOOT_BYTES": board.flash.boot_bytes,
        "RAM_ORIGIN": board.ram.origin,
        "RAM_BYTES": ram_bytes,
        "STACK_BYTES": stack_bytes,
    }
    for name, value in values.items():
        script = script.replace(f"@{name}@", f"0x{value:x}")
    (folder / "link.ld").write_text(script)
    objects = []
    for path in sorted([*folder.rglob("*.c"), *folder.rglob("*.S")]):
        source = path.relative_to(folder).as_posix()
        if not (folder / f"{source}.o").exists():
            compilers.compile_source(compiler, folder, source, _flag(board, source))
        objects.append(f"{source}.o")
    compilers.link(compiler, folder, objects, "link.ld", "firmware.elf")
    content = (folder / "firmware.elf").read_bytes()
    seal = board.flash.boot_seal
    return content if seal is None else sealed(content, board.flash.origin, seal)


def _flag(board: Board, source: str) -> str:
    """Where the link must be small, flash is what is scarce, in the kernels too."""
    return _FAST if source.startswith("kernels/") and board.link != "small" else _SMALL


def _measure(plan: c_source.Plan, stack_bytes: int, image: Elf) -> Sizes:
    facts = c_source.facts(plan)
    tables = facts["table_bytes"]
    return Sizes(
        code=image.flash_bytes - tables,
        tables=tables,
        weights=min(facts["weight_bytes"], tables),  # tables of digits take less than a byte a weight unasked
        buffers=image.static_ram_bytes,
        stack=stack_bytes,
        input_image=facts["input_bytes"],
    )


def _require_stack(board: Board, depth: StackDepth, reserved: int) -> None:
    if depth.bytes is None:
        return
    fault = f", and a fault {depth.fault}" if depth.fault else ""
    if (most := depth.bytes + depth.fault) > reserved:
        raise CheckFailedError(
            f"stack: {' > '.join(depth.path)} takes {depth.bytes:,} bytes{fault}, {most - reserved:,} more than the "
            f"{reserved:,} that are reserved; set size_bytes in [stack] of {board.path.name} to at least {most:,}"
        )


def _require_budget(board: Board, compiled: _Compiled, row_bytes: int) -> None:
    sizes, image, problems = compiled.sizes, compiled.image, []
    if sizes.flash > board.flash_budget_bytes:
        problems.append(
            f"flash: {sizes.flash:,} bytes, {sizes.flash - board.flash_budget_bytes:,} more than the "
            f"{board.flash_budget_bytes:,} of {board.name} (tables of the model {sizes.tables:,}"
            f"{_packed_already(compiled.plan)}, code {sizes.code:,})"
        )
    if sizes.ram > board.ram_budget_bytes:
        largest = sorted(_ram_symbols(image).items(), key=lambda item: -item[1])[:3]
        named = ", ".join(f"{name} {size:,}" for name, size in largest)
        problems.append(
            f"RAM: {sizes.ram:,} bytes, {sizes.ram - board.ram_budget_bytes:,} more than the "
            f"{board.ram_budget_bytes:,} of {board.name} (buffers {sizes.buffers:,}: {named}; stack {sizes.stack:,})"
        )
        if row_bytes:
            problems.append(
                f"a row of --frames takes {row_bytes:,} bytes of it, because it is prepared in one piece: send "
                "narrower frames, or a format with fewer bytes a pixel"
            )
    if problems:
        raise CheckFailedError("over budget: " + "; ".join(problems))


def _packed_already(plan: c_source.Plan) -> str:
    """Which layers of a firmware that is too large are packed, for the reader."""
    texts = [f"{layer} in {c_source.PACKINGS[packing].text}" for layer, packing in plan.packings.items()]
    return f" with {' and '.join(texts)}" if texts else ""


def _ram_symbols(image: Elf) -> Mapping[str, int]:
    return {symbol.name: symbol.size for symbol in image.symbols.values() if symbol.section in (".data", ".bss")}
