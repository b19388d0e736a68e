"""The layers: shapes, scales, q, signal-to-noise ratio, and how their weights and outputs are spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lenet_edge.quantized.model import ELEMENTWISE, WEIGHTED, Layer, macs
from lenet_edge.quantized.reference import layer_outputs
from lenet_edge.quantized.tie_free import channel_q
from lenet_edge.report import html
from lenet_edge.report.charts import draw_histograms
from lenet_edge.report.html import Figure

if TYPE_CHECKING:
    from markupsafe import Markup

    from lenet_edge.report.document.reading import Build, Int8Array

__all__ = ["Layers", "layers_of"]

_BINS = 64
_IMAGES = 100  # whose values are counted
_MACS = 2 * 10**9  # multiply-accumulates for that
_MOST_CHARTS, _OPEN = 48, 12  # layers with a chart of their own; those that are not folded away


@dataclass(frozen=True)
class Spread:
    """Histograms of one layer.

    Attributes:
        layer: its name.
        shares: what it is of -> share (0..1) in each of the `bins`.
        bins: the smallest value of each.
    """

    layer: str
    kind: str
    shares: dict[str, list[float]]
    bins: list[int]
    chart: Markup


@dataclass(frozen=True)
class Row:
    """A layer; what it does not have is empty."""

    name: Figure
    kind: str
    reads: str
    shape: str
    scale: Figure
    zero_point: Figure
    weights: Figure | None
    weight_scales: str
    q: str
    macs: str
    sqnr: Figure | None


@dataclass(frozen=True)
class Layers:
    """All layers, and the charts of some.

    Attributes:
        input: the shape of the model's input.
        is_chain: whether each layer reads the one before.
        images: how many images the outputs are of; 0 if none were there.
        spreads, more: the first, and those that are folded away.
        left_out: layers beyond those with a chart.
    """

    rows: list[Row]
    input: str
    is_chain: bool
    weights: str
    macs: str
    has_q: bool
    has_sqnr: bool
    spreads: list[Spread]
    more: list[Spread]
    images: int
    left_out: int


def layers_of(build: Build, place: int) -> Layers:
    """From the model, and the report of `quantize` for what it measured."""
    model = build.model
    rows = [_row(build, index, layer) for index, layer in enumerate(model.layers)]
    total = sum(layer.weights.size for layer in model.layers if isinstance(layer, WEIGHTED))
    outputs, images = _outputs(build)
    counted = [
        index
        for index, layer in enumerate(model.layers)
        if isinstance(layer, WEIGHTED) or (outputs and isinstance(layer, ELEMENTWISE))
    ]
    spreads = [
        _spread(model.layers[index], outputs.get(index), f"layer-{place}-{index}") for index in counted[:_MOST_CHARTS]
    ]
    return Layers(
        rows,
        " and ".join(_shape(tensor.shape) for tensor in model.inputs),
        all(reads == (index - 1,) for index, reads in enumerate(model.reads)),
        f"{total:,}",
        f"{sum(map(macs, model.layers)):,}",
        any(row.q for row in rows),
        any(row.sqnr for row in rows),
        spreads[:_OPEN],
        spreads[_OPEN:],
        images,
        len(counted) - len(spreads),
    )


def _row(build: Build, index: int, layer: Layer) -> Row:
    file, here = build.path.name, f"/layers/{index}"
    weights, scales, q = None, "", ""
    if isinstance(layer, WEIGHTED):
        weights = html.count(int(layer.weights.size), file, f"{here}/weights/size")
        scales, every_q = _range(layer.weight_scales), channel_q(layer)
        q = _whole_range(every_q) if every_q.all() else ""
    sqnr = None
    if build.quantize is not None and layer.name in build.quantize.record.sqnr_db:
        sqnr = build.quantize.content.number("sqnr_db", layer.name, form=".1f", unit="dB")
    return Row(
        name=html.name(layer.name, file, f"{here}/name"),
        kind=type(layer).__name__,
        reads=", ".join(_source(build, source) for source in build.model.reads[index]),
        shape=_shape(layer.output.shape),
        scale=html.number(layer.output.scale, file, f"{here}/output/scale", ".4g"),
        zero_point=html.number(layer.output.zero_point, file, f"{here}/output/zero_point", "d"),
        weights=weights,
        weight_scales=scales,
        q=q,
        macs=f"{macs(layer):,}" if macs(layer) else "",
        sqnr=sqnr,
    )


def _source(build: Build, source: int) -> str:
    if source >= 0:
        return html.short(build.model.layers[source].name)
    return "the input" if len(build.model.inputs) == 1 else f"input {-source}"


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) if shape else "1"


def _range(values: npt.NDArray[np.float32]) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def _whole_range(values: npt.NDArray[np.int64]) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low}" if low == high else f"{low} to {high}"


# --- histograms -----------------------------------------------------------------------------------------


def _outputs(build: Build) -> tuple[dict[int, list[float]], int]:
    """For each layer the shares of its outputs in the bins; and of how many images."""
    if build.tests is None:
        return {}, 0
    cost = max(1, sum(map(macs, build.model.layers)))
    images = build.tests.images[: max(1, min(_IMAGES, _MACS // cost))]
    values = enumerate(layer_outputs(build.model, images))
    return {index: _shares(of) for index, of in values}, len(images)


def _shares(values: Int8Array) -> list[float]:
    counts = np.bincount((values.ravel().astype(np.int64) + 128) // (256 // _BINS), minlength=_BINS)
    found: list[float] = (counts / max(1, counts.sum())).tolist()
    return found


def _spread(layer: Layer, outputs: list[float] | None, name: str) -> Spread:
    shares = {"weights": _shares(layer.weights)} if isinstance(layer, WEIGHTED) else {}
    shares |= {"outputs": outputs} if outputs is not None else {}
    bins = [256 // _BINS * index - 128 for index in range(_BINS)]
    kind = type(layer).__name__
    title = f"Layer {layer.name}: how its {' and '.join(shares)} are spread over the int8 values"
    return Spread(layer.name, kind, shares, bins, draw_histograms(shares, name, title))
