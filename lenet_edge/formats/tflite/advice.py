"""Operators that are not supported: all of them in one message, with a workaround where one is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from lenet_edge.formats.tflite.tensors import printable

__all__ = ["unsupported_problem"]

_SHOWN = 5

_ENDS = (
    "QUANTIZE or DEQUANTIZE at an end: convert with inference_input_type=tf.int8 and inference_output_type=tf.int8, "
    "so that the model is int8 throughout"
)
_INSIDE = "QUANTIZE or DEQUANTIZE inside the model: parts of it have other types or scales; quantize it as a whole"
_BATCH = (
    "Keras 3 writes SHAPE, STRIDED_SLICE and PACK for a Flatten or Reshape whose batch size is open: "
    "build the model with Input(shape, batch_size=1) and convert again"
)
_BRANCH = "models with branches are not supported: only a chain, each operator reading the one before"
_DILATED = "this is a dilated convolution, which is not supported: use dilation_rate=1"
_FUSED = "an activation is supported where the converter fuses it into the layer before: RELU, RELU6, RELU_N1_TO_1"
_NHWC = "convert the model so that it is channels-last (NHWC) throughout"
_LINE = "a Conv1D is written with these: use a Conv2D with a window of [1, n] on an input of [1, n, channels]"
_RECURRENT = "recurrent networks are not supported"

_WAYS_OUT: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("SHAPE", "STRIDED_SLICE", "PACK"), _BATCH),
        **dict.fromkeys(("ADD", "SUB", "MUL", "DIV", "CONCATENATION", "SPLIT", "MAXIMUM", "MINIMUM"), _BRANCH),
        **dict.fromkeys(("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"), _DILATED),
        **dict.fromkeys(("RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "PRELU", "HARD_SWISH", "ELU"), _FUSED),
        **dict.fromkeys(("EXPAND_DIMS", "SQUEEZE"), _LINE),
        **dict.fromkeys(("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "SVDF", "RNN", "WHILE"), _RECURRENT),
        "TRANSPOSE": _NHWC,
        "MEAN": "for GlobalAveragePooling2D write AveragePooling2D over the whole map and Flatten",
        "PAD": "use padding='same' in the convolution, or an input that is padded already",
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
    ways = dict.fromkeys(way for name, found in places.items() if (way := _way_out(name, found, len(names))))
    known = f"known: {', '.join(supported)}"
    kinds = "an operator is" if len(places) == 1 else f"{len(places)} kinds of operators are"
    return ". ".join([f"{kinds} not supported: {listed}; {known}", *map(_sentence, ways)])


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


def _way_out(name: str, found: list[int], count: int) -> str | None:
    if name in ("QUANTIZE", "DEQUANTIZE"):
        if any(index in (0, count - 1) for index in found):
            return _ENDS
        return _INSIDE
    return _WAYS_OUT.get(name.split()[0])
