"""Layers whose kernels run between fences (fenced/fenced.c): each with weights, images and expected integers."""

from __future__ import annotations

import dataclasses
import math
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from random_chains import Chain

from lenet_edge.formats.c_source.choice import candidates
from lenet_edge.formats.c_source.families.shared import inputs_of
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.formats.c_source.tables import bytes_of, is_divisible
from lenet_edge.hardware import boards
from lenet_edge.hardware import toolchain as compilers
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.resources import firmware_folder

BOARD = "mps3-an547"
FULL = (-128, 127)
IMAGES = 6
HERE = Path(__file__).parent / "fenced"
_ARENA_BYTES = 0xF000  # as in fenced.h
_LINK = ("-nostdlib", "-Wl,--build-id=none", f"-Wl,-T,{HERE / 'fenced.ld'}", "-Wl,--entry=reset")


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One layer, with the pooling that it takes in.

    Attributes:
        name: its geometry, for the reader of a failure.
        kernel: how the name of the kernel begins that computes it.
        model: of this layer alone.
        images: int8 ``[IMAGES, ...]``.
    """

    name: str
    kernel: str
    model: QuantizedModel
    images: np.ndarray

    @property
    def step(self) -> Step:
        (step,) = fuse(self.model)
        return step


def _case(name: str, kernel: str, chain: Chain) -> Case:
    """With other weights in three of four cases: all as large as they can be, few, or equal within a channel."""
    low, one, high = (-126, 2, 126) if chain.tie_free else (-128, 1, 127)
    random = chain.random
    index = next(i for i, layer in enumerate(chain.layers) if hasattr(layer, "weights"))
    layer = chain.layers[index]
    weights = np.array(layer.weights)
    kind = int(random.integers(4))
    if kind == 1:
        weights = random.choice([low, high], weights.shape)
    elif kind == 2:
        weights[random.random(weights.shape) < 0.9] = 0
    elif kind == 3:
        weights[:] = random.choice([low, one, high], len(weights)).reshape(-1, *(1,) * (weights.ndim - 1))
    chain.layers[index] = dataclasses.replace(layer, weights=weights.astype(np.int8))
    model = QuantizedModel(tuple(chain.layers))
    assert is_divisible(model) == chain.tie_free, name
    return Case(name, f"mve {kernel}", model, _images(model, int(random.integers(2**31))))


def _images(model: QuantizedModel, seed: int) -> np.ndarray:
    """Noise, the two extremes mixed, noise, what gives the first channel's largest sum, -128, 127."""
    random = np.random.default_rng(seed)
    images = random.integers(-128, 128, (IMAGES, *model.input.shape))
    images[1] = random.choice([-128, 127], images[1].shape)
    weights = next(layer.weights for layer in model.layers if hasattr(layer, "weights"))[0].ravel()
    images[3] = np.resize(np.where(weights < 0, -128, 127), images[3].shape)
    images[4], images[5] = -128, 127
    return images.astype(np.int8)


def _chain(seed: int, shape: tuple[int, int, int], tie_free: bool) -> Chain:
    return Chain(seed, shape, tie_free=tie_free, zero_point=int(np.random.default_rng(seed).choice([-128, 0, 17, 127])))


def _pad(chain: Chain, window: tuple[int, int]) -> str:
    """A pad that the layer of such a window takes in, on each side another; how that layer is padded then."""
    before, after = (tuple(int(chain.random.integers(size)) for size in window) for _ in range(2))
    chain.pad(before, after)
    return "valid"


# --- geometries -----------------------------------------------------------------------------------


def one_channel(scale: int = 1, *, tie_free: bool = True) -> Iterator[Case]:
    """Every width and padding that le_conv2d_one_mve_s8 takes, 1 to 9 channels, from the smallest height on."""
    seed = 0
    for padding, narrowest, lowest in (("valid", 12, 6), ("same", 8, 2)):
        for width in range(narrowest, 33):
            for again in range(scale):
                seed += 1
                channels, height = 1 + seed % 9, lowest + (seed * 5 + again) % 12
                chain = _chain(seed, (height, width, 1), tie_free).conv(channels, (5, 5), (1, 1), padding, FULL)
                chain.pool((2, 2))
                yield _case(f"one {height} x {width} {padding} to {channels}", "one channel", chain)


def columns(scale: int = 1, *, tie_free: bool = True) -> Iterator[Case]:
    """4 to 6 channels in, the widths from the narrowest to the widest, heights around multiples of a strip."""
    seed = 1000
    for inputs in (4, 5, 6):
        widest = 127 // inputs
        for width in (8, 9, 10, 11, 13, 14, 17, widest - 1, widest):
            for again in range(scale):
                seed += 1
                height, channels = 14 + (seed * 7 + 3 * again) % 23, 1 + (seed + again) % 9
                chain = _chain(seed, (height, width, inputs), tie_free).conv(channels, (5, 5), (1, 1), "valid", FULL)
                yield _case(f"columns {height} x {width} x {inputs} to {channels}", "columns", chain.pool((2, 2)))


def matrices(most_inputs: int = 34, most_outputs: int = 13, *, tie_free: bool = True) -> Iterator[Case]:
    """Few inputs and outputs, and inputs around whole rounds of 8 x 16."""
    few = [(i, o) for i in range(1, most_inputs + 1) for o in range(1, most_outputs + 1)]
    around = [(128 * r + d, 1 + (3 * r + d) % 17) for r in (1, 2, 3) for d in (-17, -16, -1, 0, 1, 15, 16, 17)]
    for inputs, outputs in [*few, *around]:
        chain = _chain(2000 + 100 * inputs + outputs, (1, 1, inputs), tie_free).flatten().fully_connected(outputs, FULL)
        yield _case(f"matrix {inputs} to {outputs}", "matrix", chain)


def windows(kernel: str, count: int, most_channels: int, *, tie_free: bool = True) -> Iterator[Case]:
    """Kernels up to 6 x 6, strides and pooling windows up to 3, both paddings, clamps."""
    for seed in range(10_000, 10_000 + count):
        random = np.random.default_rng(seed)
        taps = tuple(int(size) for size in random.integers(1, 7, 2))
        stride = tuple(int(size) for size in random.integers(1, 4, 2))
        pool = tuple(int(size) for size in random.integers(1, 4, 2))
        size = tuple(int(k + s * p + random.integers(6)) for k, s, p in zip(taps, stride, pool, strict=True))
        inputs, outputs = int(random.integers(1, most_channels + 1)), int(random.integers(1, 20))
        padding = str(random.choice(["same", "valid"]))
        chain = _chain(seed, (*size, inputs), tie_free)
        if seed % 4 == 0:
            padding = _pad(chain, taps)
        chain.conv(outputs, taps, stride, padding, FULL if random.random() < 0.5 else None)
        if random.random() < 0.7:
            chain.pool(pool)
        name = f"{kernel}: {size} x {inputs} by {taps} {stride} {padding} {pool} to {outputs}"
        yield _case(name, kernel, chain)


def patches(*, tie_free: bool = True) -> Iterator[Case]:
    """One position at a time."""
    yield from windows("matrix, by patches", 30, 8, tie_free=tie_free)


def pairs(*, tie_free: bool = True) -> Iterator[Case]:
    """Two; windows of one pixel in an even and an odd number of positions; first layers, whose bands slide."""
    for case in windows("pairs of positions", 60, 40, tie_free=tie_free):
        if _inputs(case) > 16:
            yield case
    for seed, (height, width, inputs) in enumerate(
        [(3, 5, 17), (1, 1, 18), (2, 4, 32), (5, 1, 80), (3, 3, 31), (4, 7, 33), (3, 8, 24), (5, 9, 19)]
    ):
        for outputs in (1, 4, 7):
            chain = _chain(20_000 + 10 * seed + outputs, (height, width, inputs), tie_free).conv(
                outputs, (1, 1), clamp=FULL
            )
            yield _case(f"1 x 1 on {height} x {width} x {inputs} to {outputs}", "pairs of positions", chain)
    yield from (case for case in first_layers(tie_free=tie_free) if case.kernel == "mve pairs of positions")
    for size, taps, pool in (((8, 40, 1), (8, 2), (1, 36)), ((9, 140, 2), (3, 2), (3, 65))):  # few inputs, far apart
        chain = _chain(sum(size), size, tie_free).conv(5, taps, (1, 1), "same", FULL).pool(pool)
        yield _case(f"{taps} on {size} in {pool}", "pairs of positions", chain)


def few(scale: int = 1, *, tie_free: bool = True) -> Iterator[Case]:
    """Four positions: windows of 1 to 16 inputs, 1 to 90 outputs, maps from one pixel on; first layers."""
    for seed in range(22_000, 22_000 + 50 * scale):
        random = np.random.default_rng(seed)
        inputs = int(random.choice([1, 1, 1, 2, 3, 4, 8, 11, 16]))
        tall = int(random.integers(1, 16 // inputs + 1)) if random.random() < 0.3 else int(random.integers(1, 5))
        tall = min(tall, 16 // inputs)
        taps = (tall, int(random.integers(1, 16 // inputs // tall + 1)))
        stride, pool = ([int(size) for size in random.integers(1, 4, 2)] for _ in range(2))
        if random.random() < 0.6:
            pool = [1, 1]
        wide = int(random.choice([0, 3, 9, 40, 150])) // inputs
        more = (int(random.integers(10)), int(random.integers(wide + 1)))
        size = tuple(int(k + s * (p - 1) + m) for k, s, p, m in zip(taps, stride, pool, more, strict=True))
        chain = _chain(seed, (*size, inputs), tie_free)
        padding = _pad(chain, taps) if seed % 3 == 0 else str(random.choice(["same", "valid"]))
        outputs = int(random.choice([1, 2, 3, 4, 5, 7, 8, 12, 16, 84, 88, 90, *random.integers(1, 41, 3)]))
        chain.conv(outputs, taps, tuple(stride), padding, FULL if random.random() < 0.7 else None)
        if pool != [1, 1]:
            chain.pool(tuple(pool))
        name = f"{size} x {inputs} by {taps} {stride} {padding} {pool} to {outputs}"
        yield _case(name, "few inputs", chain)
    for size, outputs in (((24, 100, 1), 12), ((16, 150, 1), 5)):  # tiles that have padding right only
        chain = _chain(sum(size), size, tie_free).conv(outputs, (3, 3), (2, 2), "same", FULL)
        yield _case(f"3 x 3 on {size} to {outputs}", "few inputs", chain)
    yield from (case for case in first_layers(tie_free=tie_free) if case.kernel == "mve few inputs")


def _inputs(case: Case) -> int:
    return inputs_of(case.step.layer)


def first_layers(*, tie_free: bool = True) -> Iterator[Case]:
    """Windows up to 5 x 5 on 1 to 8 channels, strides up to their height, padding on each side or none, odd widths."""
    for seed in range(21_000, 21_024):
        random = np.random.default_rng(seed)
        taps = tuple(int(size) for size in random.integers(2, 6, 2))
        stride = (int(random.integers(1, min(taps[0], 3) + 1)), int(random.integers(1, 3)))
        inputs, outputs = int(random.choice([1, 1, 2, 3, 8])), int(random.choice([1, 3, 4, 5]))
        size = tuple(int(random.integers(6, 20)) for _ in range(2))
        chain = _chain(seed, (*size, inputs), tie_free)
        padding = _pad(chain, taps) if seed % 3 == 0 else str(random.choice(["same", "valid"]))
        chain.conv(outputs, taps, stride, padding, FULL)
        kernel = "few inputs" if math.prod(taps) * inputs <= 16 else "pairs of positions"
        yield _case(f"{size} x {inputs} by {taps} {stride} {padding} to {outputs}", kernel, chain)


def depthwise(count: int = 120, *, tie_free: bool = True) -> Iterator[Case]:
    """3 x 3 and other windows up to 6 x 6, strides and pooling windows up to 3, around 16 and 32 channels, clamps."""
    for seed in range(20_000, 20_000 + count):
        random = np.random.default_rng(seed)
        window = (3, 3) if random.random() < 0.6 else tuple(int(size) for size in random.integers(1, 7, 2))
        stride = tuple(int(size) for size in random.integers(1, 4, 2))
        pool = tuple(int(size) for size in random.integers(1, 4, 2)) if random.random() < 0.3 else (1, 1)
        size = tuple(int(w + s * p + random.integers(-1, 6)) for w, s, p in zip(window, stride, pool, strict=True))
        channels, padding = (
            int(random.choice([1, 2, 3, 8, 15, 16, 17, 31, 32, 33, 40])),
            str(random.choice(["same", "valid"])),
        )
        chain = _chain(seed, (*size, channels), tie_free)
        if seed % 4 == 0:
            padding = _pad(chain, window)
        chain.depthwise(1, window, stride, padding, FULL if random.random() < 0.7 else None)
        if pool != (1, 1):
            chain.pool(pool)
        yield _case(f"depthwise {size} x {channels} by {window} {stride} {padding} {pool}", "depthwise", chain)


def connected(seeds: Iterable[int]) -> Iterator[Case]:
    """Tiles of channels that see few others, or none: any number of them, padding, pooling, as a pair or alone."""
    for seed in seeds:
        random = np.random.default_rng(seed)
        taps, (inputs, outputs) = int(random.choice([1, 3, 5])), (int(count) for count in random.integers(1, 21, 2))
        size = tuple(int(extent) for extent in random.integers(max(taps, 2), 13, 2))
        chain = _chain(seed, (*size, inputs), tie_free=True)
        padding = _pad(chain, (taps, taps)) if seed % 3 == 0 else str(random.choice(["same", "valid"]))
        chain.conv(outputs, (taps, taps), (1, 1), padding, FULL)
        if min(chain.current.shape[:2]) > 1 and random.random() < 0.5:
            chain.pool((2, 2))
        case = _case(f"{size} x {inputs} by {taps} {padding} to {outputs}", "", chain)
        case = dataclasses.replace(case, kernel="lanes tiles, connected", model=_cut(case.model, random))
        found = candidates("cortex_m_base", case.step, "it", divisible=True)
        if any(kernel.name == case.kernel for kernel in found):
            yield case


def _cut(model: QuantizedModel, random: np.random.Generator) -> QuantizedModel:
    """Without most of its connections: at random, or in groups that share nothing; some outputs see all, some none."""
    index = next(index for index, layer in enumerate(model.layers) if hasattr(layer, "weights"))
    layer = model.layers[index]
    outputs, inputs = len(layer.bias), layer.weights.shape[3]
    groups = int(random.integers(2, 5))
    seen = np.arange(outputs)[:, None] % groups == np.arange(inputs) % groups
    if random.random() < 0.6:
        seen = random.random((outputs, inputs)) < random.choice([0.1, 0.3, 0.5])
    seen[random.random(outputs) < 0.1] = True
    seen[random.random(outputs) < 0.2] = False
    weights = (layer.weights * seen[:, None, None]).astype(np.int8)
    return QuantizedModel(
        (*model.layers[:index], dataclasses.replace(layer, weights=weights), *model.layers[index + 1 :])
    )


# --- a program of them ----------------------------------------------------------------------------


def write(cases: Iterable[Case], folder: Path, family: str = "cortex_m_mve") -> list[str]:
    """cases.c and data.bin: definitions and calls as they stand in le_model.c, tables where the fences are; sources.

    The cases are all on the tie-free grid, or all off it: their kernels have the same names.

    Returns:
        The names of the kernels.
    """
    data, texts, rows, names, headers, sources = bytearray(), [], [], [], set(), set()
    for index, case in enumerate(cases):
        step = case.step
        found = candidates(family, step, f"case_{index}", divisible=is_divisible(case.model))
        kernel = next(kernel for kernel in found if kernel.name.startswith(case.kernel))
        names.append(kernel.name)
        headers |= set(kernel.headers)
        sources |= {source for source in kernel.sources if source.endswith((".c", ".S"))}
        places, sizes, contents = ["0", "0"], [0, 0], [0, 0]
        for number, table in enumerate(kernel.tables):
            content = bytes_of(table)
            sizes[number], contents[number] = len(content), len(data)
            data += content + bytes(-len(content) % 4)
            places[number] = f"TABLE_AT({number}, {len(content)})"
            texts.append(f"#define {table.name} ((const {table.c_type} *){places[number]})\n")
        calls = "\n    ".join(kernel.calls(("input",), "output", "scratch"))
        arguments = "const int8_t *input, int8_t *scratch, int8_t *output"
        texts.append(
            f"{kernel.definitions}static void run_{index}({arguments})\n{{\n    (void)scratch;\n    {calls}\n}}\n"
        )
        expected = reference.run(case.model, case.images).astype(np.int8)
        at = [len(data), len(data) + case.images.size]
        data += case.images.tobytes() + expected.tobytes()
        data += bytes(-len(data) % 4)
        used = [*sizes, math.prod(step.input.shape), math.prod(step.output.shape)]
        assert max(*used, kernel.scratch_bytes) <= _ARENA_BYTES, case.name
        counts = [IMAGES, math.prod(step.input.shape), math.prod(step.output.shape), kernel.scratch_bytes]
        numbers = [f"{{{a}, {b}}}" for a, b in (places, sizes, contents)]
        rows.append(f"    {{run_{index}, {', '.join([*numbers, *map(str, [*at, *counts])])}}},\n")
    includes = "".join(f'#include "{name}"\n' for name in ["fenced.h", *sorted(headers)])
    listing = f"const le_case le_cases[] = {{\n{''.join(rows)}}};\nconst uint32_t le_case_count = {len(rows)};\n"
    blob = '.section .rodata.data, \\"a\\"\\n.balign 4\\n.global le_data\\nle_data: .incbin \\"data.bin\\"\\n.text'
    (folder / "cases.c").write_text("\n".join([includes, *texts, listing, f'__asm__("{blob}");\n']))
    (folder / "data.bin").write_bytes(data)
    (folder / "sources").write_text(" ".join(sorted(sources)))
    return names


def build(folder: Path, toolchain: str, *, optimize: str = "-O2", family: str = "cortex_m_mve") -> Path:
    """The program of the folder's cases.c."""
    chosen = compilers.choose(boards.load(BOARD), toolchain)
    top = firmware_folder()
    kernels, shared = top / "kernels" / family, top / "kernels" / "shared"
    sources = [str(top / "libc" / "memory.c")]
    sources += [str(top / "kernels" / source) for source in (folder / "sources").read_text().split()]
    includes = [f"-I{path}" for path in (HERE, kernels, shared, top / "libc", folder)]
    command = [*chosen.compiler, optimize, "-Werror", *includes, str(HERE / "fenced.c"), "cases.c", *sources]
    subprocess.run([*command, *_LINK, *chosen.libraries, "-o", "fenced.elf"], cwd=folder, check=True, timeout=300)
    return folder / "fenced.elf"


def run(elf: Path) -> tuple[int, dict[str, list[int]]]:
    """Exit code, and the numbers behind each text that the program said."""
    command = ["qemu-system-arm", "-M", BOARD, "-display", "none", "-monitor", "none", "-serial", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", str(elf)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    said: dict[str, list[int]] = {}
    for line in (done.stdout + done.stderr).splitlines():
        text, _, number = line.rpartition(" ")
        said.setdefault(text, []).append(int(number))
    return done.returncode, said
