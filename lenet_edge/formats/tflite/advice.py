"""Operators that are not supported: all of them in one message, with a workaround where one is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from lenet_edge.formats.tflite.schema import S
from lenet_edge.formats.tflite.tensors import printable

__all__ = ["kind_problem", "unsupported_problem"]

_SHOWN = 5

_STATE = (
    "a recurrent network keeps a state from one inference to the next, in int16 arithmetic that differs between "
    "runtimes: write it as convolutions along time, or unroll it"
)
_SVDF = "SVDF keeps a state from one inference to the next: write it as a depthwise convolution along time"
_ACTIVATION = "as activations RELU, RELU6, LEAKY_RELU, LOGISTIC and TANH are supported"
_FUSED = "TFLM has RELU_N1_TO_1 only where the converter fuses it into the layer before"
_EXTREME = "for a bound use ReLU(max_value=6), for a pooling MaxPooling2D"
_DIVISION = "multiply by the reciprocal, where it is constant"
_REDUCED = "as reductions MEAN (global average pooling) and MAX_POOL_2D are supported"
_LARGER = "UpSampling2D, Conv2DTranspose and Resizing are not supported: end the network before them"
_NORMALISED = (
    "LayerNormalization and others that normalise at run time: use BatchNormalization, which the converter folds"
)
_ROWS = "Dense on more than one row of values is written with these: use a Conv1D with a window of 1"
_ATTENTION = "products of two computed matrices (attention) are not supported"
_ANSWER = "end the model before it, and choose the class from its outputs"
_WHOLE = "parts of it are not int8; quantize it as a whole, with a representative data set"

_FLOATS = frozenset({S.TensorType.FLOAT32, S.TensorType.FLOAT16})
_FLOAT = (
    "it is a float model, which computes no int8 (its weights may be int8 or float16 all the same). Make an int8 one "
    "of it: `lenet-edge quantize --epochs 0 --model FILE --data PICTURES`"
)
_INT16 = (
    "it computes in int16 (16x8), which is not supported. Convert the float model once more, to int8 "
    "(TFLITE_BUILTINS_INT8), or without optimizations for `lenet-edge quantize --epochs 0`"
)

_WAYS_OUT: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"), _STATE),
        **dict.fromkeys(("RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", "WHILE", "CALL_ONCE", "VAR_HANDLE"), _STATE),
        "SVDF": _SVDF,
        **dict.fromkeys(("PRELU", "HARD_SWISH", "ELU", "GELU", "EXP", "ABS"), _ACTIVATION),
        "RELU_N1_TO_1": _FUSED,
        **dict.fromkeys(("MAXIMUM", "MINIMUM"), _EXTREME),
        "DIV": _DIVISION,
        **dict.fromkeys(("SUM", "REDUCE_MAX", "REDUCE_MIN", "L2_POOL_2D"), _REDUCED),
        **dict.fromkeys(
            ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "TRANSPOSE_CONV", "DEPTH_TO_SPACE", "TILE"), _LARGER
        ),
        **dict.fromkeys(("RSQRT", "SQRT", "SQUARED_DIFFERENCE", "L2_NORMALIZATION"), _NORMALISED),
        **dict.fromkeys(("GATHER", "REDUCE_PROD"), _ROWS),
        "BATCH_MATMUL": _ATTENTION,
        **dict.fromkeys(("ARG_MAX", "ARG_MIN", "TOPK_V2"), _ANSWER),
        "CAST": _WHOLE,
        "CUSTOM": "custom operators are not in TFLM or LiteRT by themselves",
    }
)


def unsupported_problem(root: Any, names: list[str], supported: Collection[str]) -> str | None:
    """What to say about the operators whose `names` (in order) are not `supported`; None if all are."""
    places: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        if name not in supported:
            places.setdefault(_full_name(root, name, index), []).append(index)
    if not places:
        return None
    listed = ", ".join(f"{name} ({_indices(found)})" for name, found in places.items())
    ways = dict.fromkeys(way for name in places if (way := _WAYS_OUT.get(name.split()[0])))
    known = f"known: {', '.join(supported)}"
    kinds = "an operator is" if len(places) == 1 else f"{len(places)} kinds of operators are"
    return ". ".join([f"{kinds} not supported: {listed}; {known}", *map(_sentence, ways)])


def kind_problem(root: Any) -> str | None:
    """What to say of a model that computes in float or int16 instead of int8; None of any other."""
    graph = root.subgraphs[0]
    places = {int(place) for operator in graph.operators for place in _outputs(operator)}
    types = {tensor.type for place, tensor in enumerate(graph.tensors or []) if place in places}
    if types and types <= _FLOATS:
        return _FLOAT
    if S.TensorType.INT16 in types and types <= {S.TensorType.INT16, *_FLOATS}:
        return _INT16
    return None


def _outputs(operator: Any) -> Any:
    return () if operator.outputs is None else operator.outputs


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _full_name(root: Any, name: str, index: int) -> str:
    """A custom operator with the name that its code gives it."""
    code = root.operator_codes[root.subgraphs[0].operators[index].opcode_index]
    return f"CUSTOM {printable(code.custom_code[:60])}" if name == "CUSTOM" and code.custom_code else name


def _indices(found: list[int]) -> str:
    shown = ", ".join(map(str, found[:_SHOWN]))
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"operator {shown}" if len(found) == 1 else f"operators {shown}{more}"
