"""A model as another runtime than TFLM computes it: with that runtime's tables and clamps, and its rule for each layer.

It is another model, with a fingerprint of its own: everything that decides an integer is in that. Where the runtime
gives TFLM's integers whatever the input, which is what the tie-free grid is for, it is the same model.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.lookup import table_by_rule
from lenet_edge.quantized.model import (
    ELEMENTWISE,
    WEIGHTED,
    AveragePool2d,
    Layer,
    Lookup,
    Mean,
    QuantizedModel,
    Rescale,
    Softmax,
    input_ranges,
)
from lenet_edge.quantized.operator_cases import tie_problem
from lenet_edge.quantized.rescale import RESCALE_RULES
from lenet_edge.quantized.runtimes import REFERENCE, RuntimeRules, rules_of, unknown_layers
from lenet_edge.quantized.tie_free import is_tie_free, off_grid_problem

__all__ = ["RUNTIMES", "USUAL", "as_computed_by", "original"]

USUAL = "tflm"
"""The runtime whose integers a model has unless it says otherwise."""

RUNTIMES = (USUAL, "onnxruntime", "litert-xnnpack")
"""Those whose integers our C can compute: TFLM's, and what rounds in float32, half to even."""

_ROUNDED = (*WEIGHTED, *ELEMENTWISE, AveragePool2d, Mean, Softmax)  # Lookup and Rescale have tables


def as_computed_by(runtime: str, model: QuantizedModel) -> QuantizedModel:
    """The model with a runtime's rounding; the model itself where that changes nothing.

    Args:
        runtime: of `RUNTIMES`.
        model: by TFLM's rounding. Of one from ONNX, ONNX Runtime's rounding is that of the file's own graph.

    Returns:
        With ``like`` in the metadata, which is the runtime.

    Raises:
        BadInputError: the runtime's integers of a layer are not known; the message names these layers.
    """
    if runtime == USUAL or is_tie_free(model):
        return model
    rules = rules_of(runtime, model)
    if rules is None:
        raise ValueError(f"no rules of {runtime}")
    if unknown := unknown_layers(model, rules):
        raise BadInputError(
            f"{runtime} computes {_named(unknown)} in floats that nothing predicts, so no integers can be like them; "
            "choose --like tflm, or move the model onto the tie-free grid with lenet-edge retie"
        )
    layers = tuple(_with_tables(rules.as_clamped(layer), rules, runtime) for layer in model.layers)
    ranges = input_ranges(replace(model, layers=layers))  # its tables may reach further than TFLM's
    divides = all(
        off_grid_problem(layer, *bounds) is None
        for layer, bounds in zip(layers, ranges, strict=True)
        if isinstance(layer, WEIGHTED)
    )
    rounding = tuple(_rule(layer, rules, bounds, divides=divides) for layer, bounds in zip(layers, ranges, strict=True))
    if set(rounding) == {USUAL}:
        rounding = ()
    found = replace(model, layers=layers, rounding=rounding)
    return model if found == model else found.with_metadata(like=runtime, original=model)


def original(model: QuantizedModel) -> QuantizedModel:
    """The model with TFLM's rounding that `as_computed_by` made this of; other runtimes run that."""
    found = model.metadata.get("original", model)
    assert isinstance(found, QuantizedModel)
    return found


def _named(layers: tuple[str, ...]) -> str:
    return f"layer{'s' if len(layers) > 1 else ''} {', '.join(layers)}"


def _with_tables(layer: Layer, rules: RuntimeRules, runtime: str) -> Layer:
    """The layer with the table that the runtime fills in for it."""
    rule = rules.for_layer(layer)
    if isinstance(layer, Lookup) and rule != USUAL:
        table = table_by_rule(rule, layer.function, layer.input.scale, layer.input.zero_point)
        return replace(layer, table=table.copy())
    if isinstance(layer, Rescale):
        blocks, rest = RESCALE_RULES[rule](layer)
        if not np.array_equal(blocks, rest):
            raise BadInputError(
                f"{runtime} rounds layer {layer.name} ({layer.operator}) in blocks of 16 values, and what follows "
                "them in another way; the C has one table for all. Choose --like tflm, or lenet-edge retie"
            )
        return replace(layer, table=blocks.copy())
    return layer


def _rule(layer: Layer, rules: RuntimeRules, reached: tuple[int, int], *, divides: bool) -> str:
    """The layer's rule; TFLM's where that is the same for every input."""
    if not isinstance(layer, _ROUNDED) or (isinstance(layer, WEIGHTED) and divides):
        return USUAL
    if isinstance(layer, ELEMENTWISE) and tie_problem(layer, *reached) is None:
        return USUAL
    rule = rules.for_layer(layer)
    return USUAL if rule == REFERENCE.for_layer(layer) else rule
