"""`QuantizedModel` and its .tflite to C++ sources for TFLM: the same bytes for the same arguments, always."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Template
from types import MappingProxyType
from typing import Literal, TypeAlias

from lenet_edge.errors import BadInputError
from lenet_edge.formats.images import takes_images
from lenet_edge.formats.tflite import from_bytes, operators_of
from lenet_edge.formats.tflm.templates import (
    ARENA_HEADER,
    MAIN_SOURCE,
    MODEL_HEADER,
    MODEL_SOURCE,
    RESOLVER_HEADER,
    SETTINGS_HEADER,
)
from lenet_edge.formats.tflm.wording import example_words, settings_words
from lenet_edge.quantized.meaning import meaning_of
from lenet_edge.quantized.model import (
    AveragePool2d,
    Conv2d,
    DepthwiseConv2d,
    FullyConnected,
    Layer,
    QuantizedModel,
    window_size,
)
from lenet_edge.version import __version__

__all__ = ["ARRAY_STYLES", "ArrayStyle", "HostArena", "cmsis_nn_scratch", "export"]

ArrayStyle: TypeAlias = Literal["tflm", "xxd", "g_model"]


@dataclass(frozen=True)
class HostArena:
    """The tensor arena as TFLM's interpreter measured it on this host, in bytes; see `engines.tflm.Arena`.

    Attributes:
        head: the non-persistent part.
        tail: the persistent part.
        smallest: the smallest arena in which the model was allocated and ran.
        measured_with: name and version of the interpreter, for the comment.
    """

    head: int
    tail: int
    smallest: int
    measured_with: str


@dataclass(frozen=True)
class _Names:
    """The identifiers of the array and of its length, and how the style differs from its model."""

    array: str
    length: str
    length_type: str = "unsigned int"
    note: str = ""


ARRAY_STYLES: Mapping[ArrayStyle, _Names] = MappingProxyType(
    {
        "tflm": _Names("g_{name}_model_data", "g_{name}_model_data_size"),
        "xxd": _Names(
            "{name}_tflite",
            "{name}_tflite_len",
            note="//\n// Names and rows as `xxd -i {name}.tflite` gives them; unlike its output the array is const,\n"
            "// so that it stays in flash, and aligned to 16, which TFLM requires.\n",
        ),
        "g_model": _Names("g_model", "g_model_len", "int"),
    }
)
"""Identifiers by style: TFLM's generate_cc_arrays.py, `xxd -i`, and TFLM's earlier examples."""

_ADD_CALLS = {
    "ADD": "AddAdd",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "BATCH_TO_SPACE_ND": "AddBatchToSpaceNd",
    "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "DEQUANTIZE": "AddDequantize",
    "EXPAND_DIMS": "AddExpandDims",
    "FULLY_CONNECTED": "AddFullyConnected",
    "LEAKY_RELU": "AddLeakyRelu",
    "LOGISTIC": "AddLogistic",
    "MAX_POOL_2D": "AddMaxPool2D",
    "MEAN": "AddMean",
    "MUL": "AddMul",
    "PACK": "AddPack",
    "PAD": "AddPad",
    "PADV2": "AddPadV2",
    "QUANTIZE": "AddQuantize",
    "RELU": "AddRelu",
    "RELU6": "AddRelu6",
    "RESHAPE": "AddReshape",
    "SHAPE": "AddShape",
    "SOFTMAX": "AddSoftmax",
    "SPACE_TO_BATCH_ND": "AddSpaceToBatchNd",
    "SPLIT": "AddSplit",
    "SQUEEZE": "AddSqueeze",
    "STRIDED_SLICE": "AddStridedSlice",
    "SUB": "AddSub",
    "TANH": "AddTanh",
    "TRANSPOSE": "AddTranspose",
}
_ALIGNMENT = 16
_BYTES_PER_ROW = 12


def export(
    model: QuantizedModel, tflite: bytes, *, arena: HostArena, array_style: ArrayStyle = "tflm", name: str = "lenet5"
) -> dict[str, bytes]:
    """The C++ sources of a model.

    Args:
        model: what `tflite` holds.
        tflite: the file that goes into the array, byte for byte.
        arena: what the interpreter measured for that file.
        array_style: names of the array and of its length; a key of `ARRAY_STYLES`.
        name: a C identifier, the first part of the names.

    Returns:
        File name -> content: ``<name>_model_data.cc`` and ``.h``, ``<name>_op_resolver.h``,
        ``<name>_arena.h``, ``<name>_model_settings.h`` and ``main.cc``.

    Raises:
        BadInputError: the name is not a C identifier, the style is unknown, the file
            is not the model's.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII):
        raise BadInputError(f"{name!r} cannot name a C array: use letters, digits and _, and no digit first")
    if array_style not in ARRAY_STYLES:
        raise BadInputError(f"array style {array_style!r} is unknown; there are {', '.join(ARRAY_STYLES)}")
    if from_bytes(tflite) != model:
        raise BadInputError("the .tflite holds another model than the one to export")
    sources = {
        f"{name}_model_data.h": _model_header(name, array_style),
        f"{name}_model_data.cc": _model_source(name, array_style, tflite),
        f"{name}_op_resolver.h": _resolver_header(tflite),
        f"{name}_arena.h": _arena_header(model, arena),
        f"{name}_model_settings.h": _settings_header(model),
        "main.cc": _main_source(model, name, array_style),
    }
    return {file: _fill(file, *source, model, name).encode("ascii") for file, source in sources.items()}


_Source: TypeAlias = tuple[Template, dict[str, object]]


def _fill(file: str, template: Template, values: dict[str, object], model: QuantizedModel, name: str) -> str:
    common = {
        "file": file,
        "fingerprint": model.fingerprint,
        "guard": f"LENET_EDGE_{re.sub('[^A-Z0-9]', '_', file.upper())}_",
        "namespace": f"{name}_model",
        "version": __version__,
    }
    return template.substitute(common, **values)


def _identifiers(name: str, style: ArrayStyle) -> dict[str, object]:
    names = ARRAY_STYLES[style]
    return {
        "array": names.array.format(name=name),
        "length": names.length.format(name=name),
        "length_type": names.length_type,
    }


def _model_header(name: str, style: ArrayStyle) -> _Source:
    return MODEL_HEADER, {"what": "the .tflite as an array.", **_identifiers(name, style)}


def _model_source(name: str, style: ArrayStyle, tflite: bytes) -> _Source:
    rows = (tflite[start : start + _BYTES_PER_ROW] for start in range(0, len(tflite), _BYTES_PER_ROW))
    return MODEL_SOURCE, {
        "what": "the .tflite as an array.",
        "note": ARRAY_STYLES[style].note.format(name=name),
        "header": f"{name}_model_data.h",
        "bytes": ",\n".join("  " + ", ".join(f"0x{byte:02x}" for byte in row) for row in rows),
        "count": len(tflite),
        **_identifiers(name, style),
    }


def _resolver_header(tflite: bytes) -> _Source:
    operators = operators_of(tflite)
    calls = "\n".join(f"  TF_LITE_ENSURE_STATUS(op_resolver.{_ADD_CALLS[name]}());" for name in operators)
    return RESOLVER_HEADER, {"what": "the operators of the model.", "count": len(operators), "calls": calls}


def _arena_header(model: QuantizedModel, arena: HostArena) -> _Source:
    buffers = [size for size in map(cmsis_nn_scratch, model.layers) if size]
    scratch = max(buffers, default=0)
    figures = {"head": arena.head, "tail": arena.tail, "smallest": arena.smallest}
    return ARENA_HEADER, {
        "what": "the size of the tensor arena.",
        "measured_with": " ".join(arena.measured_with.split()),
        "size": _aligned(max(arena.smallest, arena.head + arena.tail)) + _ALIGNMENT,
        "scratch": scratch,
        "scratch_rounded": _aligned(scratch) + _ALIGNMENT * len(buffers),
        **{key: f"{value:7d}" for key, value in figures.items()},
    }


def _settings_header(model: QuantizedModel) -> _Source:
    return SETTINGS_HEADER, {
        "what": "shapes, scales and class names.",
        "class_names": _class_names(meaning_of(model).classes),
        **settings_words(model),
    }


def _class_names(names: tuple[str, ...]) -> str:
    """The array of the names, and an empty line after it; nothing of outputs that are not classes."""
    rows = "".join(f"    {_string_literal(name)},\n" for name in names)
    return f"constexpr const char* kClassNames[kClassCount] = {{\n{rows}}};\n" if names else ""


def _main_source(model: QuantizedModel, name: str, style: ArrayStyle) -> _Source:
    headers = {
        "arena_header": f"{name}_arena.h",
        "model_header": f"{name}_model_data.h",
        "resolver_header": f"{name}_op_resolver.h",
        "settings_header": f"{name}_model_settings.h",
    }
    what = "an example that classifies one image." if takes_images(model) else "an example that runs one input."
    words = example_words(model, f"{name}_model")
    return MAIN_SOURCE, {"what": what, **headers, **words, **_identifiers(name, style)}


def cmsis_nn_scratch(layer: Layer) -> int:
    """Bytes of scratch that CMSIS-NN's kernel for the layer asks for, the larger of DSP and MVE cores.

    Source: ``arm_convolve_s8_get_buffer_size`` and its ``_mve``, ``arm_depthwise_conv_s8_opt_get_buffer_size_dsp``
    and ``_mve`` (CH_IN_BLOCK_MVE = 124), ``arm_avgpool_s8_get_buffer_size_dsp``, and for MVE one int32 per output
    of a fully connected layer (kernel sums of newer releases), in CMSIS-NN's Source/*/..._get_buffer_sizes_s8.c.
    """
    if isinstance(layer, Conv2d):
        column = math.prod(window_size(layer)) * layer.input.shape[-1]
        return max(2 * 2 * _aligned(column, 4), 4 * _aligned(column, 16))
    if isinstance(layer, DepthwiseConv2d):
        taps = math.prod(window_size(layer))
        return max(2 * layer.input.shape[-1] * taps, 4 * 124 * taps)
    if isinstance(layer, AveragePool2d):
        return 4 * layer.input.shape[-1]
    if isinstance(layer, FullyConnected):
        return 4 * int(layer.weights.shape[0])
    return 0


def _aligned(size: int, to: int = _ALIGNMENT) -> int:
    return -(-size // to) * to


def _string_literal(text: str) -> str:
    """A C string literal of the text's UTF-8; all but plain characters as octal escapes, which have a fixed length."""
    plain = {ord(char) for char in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-+.,:;()/"}
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in text.encode()) + '"'
