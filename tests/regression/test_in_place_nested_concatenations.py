"""A part of a concatenation that a second one, around it, copies: planned in place it was a KeyError."""

import numpy as np

from lenet_edge.formats.c_source import make_plan
from lenet_edge.quantized.model import Concatenate, QTensor, QuantizedModel, Rescale
from lenet_edge.quantized.rescale import table


def test_the_outer_one_does_not_grow_over_its_part():
    """r0, r1 -> [r0, r1] -> [r0, [r0, r1]] -> r2: the inner one lies 32 bytes into the outer one, of 96."""
    one, two, three = (QTensor((rows, 8), 0.5, 0) for rows in (4, 8, 12))

    def rescale(name: str, tensor: QTensor, by: float) -> Rescale:
        source = QTensor(tensor.shape, by, 0)
        return Rescale(name, source, tensor, "QUANTIZE", table("QUANTIZE", source, tensor))

    layers = (
        rescale("r0", one, 0.25),
        rescale("r1", one, 0.25),
        Concatenate("inner", (one, one), two, 0),
        Concatenate("outer", (one, two), three, 0),
        Rescale("r2", three, QTensor((12, 8), 1.0, 0), "QUANTIZE", table("QUANTIZE", three, QTensor((12, 8), 1.0, 0))),
    )
    plan = make_plan(QuantizedModel(layers, {}, ((-1,), (-1,), (0, 1), (0, 2), (3,))))
    (outer,) = (step for step in plan.in_place.steps if step.step.names == ("outer",))
    assert not outer.grows_over_input
    first, inner = (place.offset for place in outer.sources)
    assert first == inner == outer.target.offset + 32
    assert np.sum([size for _, size in outer.occupied]) <= plan.in_place.bytes
