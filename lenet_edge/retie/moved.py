"""A model that was moved onto the tie-free grid, and which of its layers are which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lenet_edge.quantized.model import QuantizedModel

__all__ = ["Retied"]


@dataclass(frozen=True)
class Retied:
    """A model on the tie-free grid.

    Attributes:
        model: the model.
        place: index of a layer of the original -> that of the layer with its output here; a source where none is
            needed any more.
        left: layer -> why runtimes will still round it differently.
    """

    model: QuantizedModel
    place: Mapping[int, int]
    left: Mapping[str, str]
