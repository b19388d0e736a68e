"""Two models of different shapes, layers and classes, each with its prefix, for one program."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import packed_models
import sample_models

from lenet_edge.formats import c_source
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.resources import firmware_folder

Int8Array = npt.NDArray[np.int8]

MODELS = {"meter": sample_models.lenet5(61), "gauge": sample_models.every_layer(62)}
ORDINARY = {"meter": sample_models.lenet5(61, "ordinary"), "gauge": MODELS["gauge"]}
"""Of these one rounds twice, so that each needs another `le_requantize_s8`."""


PACKED = {"meter": packed_models.lenet5_mixed(61), "gauge": MODELS["gauge"]}
"""Of these one has packed weights, if `sources` is told so."""


def sources(
    family: str, models: dict[str, QuantizedModel] = MODELS, packings: Mapping[str, str] | None = None
) -> dict[str, bytes]:
    """The exported C of both in one folder; no file of one has the name of one of the other.

    `packings` are of the first one.
    """
    found: dict[str, bytes] = {}
    for prefix, model in models.items():
        files = c_source.with_prefix(
            c_source.export(c_source.make_plan(model, family, None if found else packings), firmware_folder()),
            prefix,
            model,
        )
        own = {name: data for name, data in files.items() if name.startswith(f"{prefix}_")}
        assert set(files) - set(own) == {"CMakeLists.txt", "example/main.c"}
        assert not set(found) & set(own)
        found |= own
    return found


def images(model: QuantizedModel, count: int, seed: int = 0) -> Int8Array:
    """Noise, int8 ``[count, h, w, c]``."""
    return np.random.default_rng(seed).integers(-128, 128, (count, *model.input.shape)).astype(np.int8)


def interleaved(count: int, models: dict[str, QuantizedModel] = MODELS) -> tuple[list[bytes], list[bytes]]:
    """What is sent, an image of the one and of the other in turn, and what must come back by the reference: logits."""
    sent, expected = [], []
    batches = {prefix: images(model, count) for prefix, model in models.items()}
    logits = {prefix: reference.run(model, batches[prefix]) for prefix, model in models.items()}
    for index in range(count):
        for prefix in models:
            sent.append(batches[prefix][index].tobytes())
            expected.append(logits[prefix][index].tobytes())
    return sent, expected


def wrong_symbols(symbols: set[str]) -> set[str]:
    """Of the symbols that an object with both models shows to a linker those that do not begin with a prefix."""
    return {name for name in symbols if not name.startswith(tuple(f"{prefix}_" for prefix in MODELS))}
