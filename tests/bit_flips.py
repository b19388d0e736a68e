"""Every single-bit flip in the structure of a .tflite: what the reader makes of it, and what the runtimes compute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import tflite_runtimes

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite import from_bytes, structure, to_bytes
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import WEIGHTED, QuantizedModel
from lenet_edge.quantized.runtimes import RUNTIMES

IMAGES = 3
REFUSED, SAME, ANOTHER = "refused", "the same model", "another model, read alike by all"


@dataclass
class Outcome:
    """What became of the flips: counts of (region, REFUSED or SAME or ANOTHER), and those that are faults."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def table(self) -> dict[str, tuple[int, int, int]]:
        """Region to (refused, the same model, another model)."""
        regions = sorted({region for region, _ in self.counts})
        return {name: tuple(self.counts[name, kind] for kind in (REFUSED, SAME, ANOTHER)) for name in regions}


class _Mapper(structure._Parser):
    """Notes which byte of the file is read as what."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.regions = ["padding"] * len(data)
        self.regions[:8] = ["header"] * 8

    def _mark(self, start: int, count: int, region: str) -> None:
        self.regions[start : start + count] = [region] * count

    def number(self, position, kind, what):
        region = "vtables" if what.startswith("the vtable") else what.split(".")[0]
        if position >= 8:
            self._mark(position, int(kind[1]), "options" if region.endswith("Options") else region)
        return super().number(position, kind, what)

    def table(self, name, position):
        start = position - super().number(position, "i4", name)
        self._mark(start, super().number(start, "u2", name), "vtables")
        return super().table(name, position)

    def string(self, position, what):
        text = super().string(position, what)
        self._mark(position + 4, len(text) + 1, "names")
        return text

    def numbers(self, position, kind, what):
        values = super().numbers(position, kind, what)
        region = what.split(".")[1] if what.startswith(("Quantization", "Buffer")) else what.split(".")[0]
        self._mark(position + 4, len(values) * int(kind[1]), "options" if region.endswith("Options") else region)
        return values


def regions(data: bytes, model: QuantizedModel) -> list[str | None]:
    """For each byte of the file the name of its region; None for the values of weights and biases."""
    mapper = _Mapper(data)
    root = mapper.table("Model", mapper.offset(0, "its root"))
    found: list[str | None] = list(mapper.regions)
    for layer in model.layers:
        for values in (layer.weights, layer.bias) if isinstance(layer, WEIGHTED) else ():
            start = data.index(values.tobytes())
            found[start : start + values.nbytes] = [None] * values.nbytes
    for entry in root.metadata or []:
        content = root.buffers[entry.buffer].data.tobytes()
        start = data.index(content)
        found[start : start + len(content)] = ["our metadata's text"] * len(content)
    return ["shapes of RESHAPE" if name == "data" else name for name in found]


def third_party(data: bytes) -> bytes:
    """The same file without our fingerprint, which would give away every change of a layer."""
    return data.replace(b"lenet_edge\0", b"xenet_edge\0")


def flips(data: bytes, model: QuantizedModel, step: int = 1) -> Iterator[tuple[str, str, bytes]]:
    """(region, name of the flip, bytes) of every `step`-th single-bit flip of the structure."""
    places = [(byte, bit, name) for byte, name in enumerate(regions(data, model)) if name for bit in range(8)]
    for byte, bit, name in places[::step]:
        changed = bytearray(data)
        changed[byte] ^= 1 << bit
        yield name, f"byte {byte} bit {bit} ({name})", bytes(changed)


def sweep(model: QuantizedModel, *, with_fingerprint: bool, step: int = 1) -> Outcome:
    """Flip the bits of the model's file, and ask the runtimes about each file that is accepted."""
    data = to_bytes(model)
    outcome, accepted = Outcome(), []
    for region, name, changed in flips(data if with_fingerprint else third_party(data), model, step):
        try:
            read = from_bytes(changed)
        except BadInputError:
            outcome.counts[region, REFUSED] += 1
            continue
        outcome.counts[region, SAME if read == model else ANOTHER] += 1
        accepted.append((name, changed, read))
    images = [_images(read, index) for index, (_, _, read) in enumerate(accepted)]
    items = [(changed, chosen) for (_, changed, _), chosen in zip(accepted, images, strict=True)]
    for (name, _, read), chosen, computed in zip(accepted, images, tflite_runtimes.judged(items), strict=True):
        problems = differences(read, chosen, computed)
        if problems:
            outcome.faults.append(f"{name}: {problems}")
    return outcome


def _images(model: QuantizedModel, seed: int) -> np.ndarray:
    shape = (IMAGES, *model.input.shape)
    return np.random.default_rng(seed).integers(-128, 128, shape, dtype=np.int8)


def differences(model: QuantizedModel, images: np.ndarray, computed: dict) -> dict[str, str]:
    """By runtime: that it refused or crashed, or computed otherwise than the reference under that runtime's rules."""
    problems = {}
    for name in tflite_runtimes.RUNTIMES:
        found = computed.get(name, tflite_runtimes.CRASHED)
        if isinstance(found, str):
            problems[name] = found[:80]
            continue
        expected = reference.run(model, images, RUNTIMES[name]).reshape(len(images), -1)
        if expected.shape != np.shape(found) or (expected != np.array(found)).any():
            problems[name] = "other integers"
    return problems
