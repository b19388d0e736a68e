"""What TFLM, LiteRT and we would read differently in a .tflite: refused, with the reason.

Only one reading of a file is accepted. Each rule names the runtime that would read another model or refuse.
Rules about one operator's options and constants stand with that operator, in `operators`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.schema import operator_name
from lenet_edge.formats.tflite.tensors import printable

__all__ = ["refuse_traps"]

_VERSION = 3
_MAX_ELEMENTS = 1 << 28

# The number of bytes of an element, by the schema's type: those that TFLM and LiteRT both know.
_ELEMENT_BYTES = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 8: 8, 9: 1, 10: 8, 11: 16, 12: 8, 15: 4, 16: 2, 17: 0.5}
_MAX_UNUSED = 1 << 16
_MAX_LISTED = 1 << 10

# Metadata that a runtime obeys: TFLM takes its memory plan from the first, its weights' tables from the second,
# LiteRT the order of operators from the third and the precision of its arithmetic from the last.
_OBEYED = ("OfflineMemoryAllocation", "COMPRESSION_METADATA", "model_control_dependencies", "reduced_precision_support")

_OPERATORS: Mapping[str, tuple[tuple[int, ...], int]] = MappingProxyType(
    {
        "CONV_2D": ((1,), 8),
        "DEPTHWISE_CONV_2D": ((2,), 6),
        "FULLY_CONNECTED": ((8,), 14),
        "MAX_POOL_2D": ((5,), 3),
        "AVERAGE_POOL_2D": ((5,), 3),
        "LOGISTIC": ((0,), 3),
        "TANH": ((0,), 3),
        "RESHAPE": ((17, 0), 1),
        "SOFTMAX": ((9,), 3),
        "ADD": ((11,), 5),
        "SUB": ((28,), 5),
        "MUL": ((21,), 7),
        "MEAN": ((27,), 3),
        "RELU": ((0,), 3),
        "RELU6": ((0,), 3),
        "LEAKY_RELU": ((75,), 2),
        "SPACE_TO_BATCH_ND": ((25, 0), 4),
        "BATCH_TO_SPACE_ND": ((24, 0), 4),
        "PAD": ((22, 0), 6),
        "PADV2": ((43, 0), 6),
        "CONCATENATION": ((10,), 7),
        "STRIDED_SLICE": ((32,), 4),
        "SPLIT": ((35,), 4),
        "SQUEEZE": ((30,), 1),
        "EXPAND_DIMS": ((52, 0), 1),
        "TRANSPOSE": ((26, 0), 8),
        "QUANTIZE": ((89, 0), 6),
        "DEQUANTIZE": ((38, 0), 9),
        "SHAPE": ((55,), 1),
        "PACK": ((59,), 1),
    }
)
"""For each operator the members of the union ``BuiltinOptions`` that it may have (0 is none), and the newest version
that all kernel sets of LiteRT 2.3 take (tried: 1 to 1,000; register.cc and register_ref.cc); TFLM does not look."""


def refuse_traps(root: Any, names: list[str]) -> None:
    """Check a file whose operators are all supported, `names` in order, with one subgraph.

    Raises:
        BadInputError: naming what would be read differently, and by which runtime.
    """
    if root.version != _VERSION:
        raise BadInputError(f"its schema has version {root.version}; LiteRT and TFLM read {_VERSION}")
    if root.external_buffer_groups or root.external_buffers:
        raise BadInputError("it has external buffers, which TFLM does not read")
    graph = root.subgraphs[0]
    _check_codes(root)
    _check_buffers(root)
    _check_metadata(root)
    _check_signatures(root, graph)
    used = _used(graph)
    for index, tensor in enumerate(graph.tensors or []):
        where = f"tensor {index} ({printable((tensor.name or b'')[:40])})"
        _check_tensor(tensor, where)
        if index not in used:
            _check_unused(root, tensor, where)
    for index, (name, operator) in enumerate(zip(names, graph.operators, strict=True)):
        _check_operator(operator, name, f"operator {index} ({name})")


def _check_codes(root: Any) -> None:
    """LiteRT looks up every operator code of the file, also those that no operator uses."""
    for code in root.operator_codes:
        name = operator_name(max(code.builtin_code, code.deprecated_builtin_code))
        if name not in _OPERATORS:
            raise BadInputError(f"it lists the operator {name}, which is not supported, without using it")
        newest = _OPERATORS[name][1]
        if not 1 <= code.version <= newest:
            raise BadInputError(f"its {name} has version {code.version}; LiteRT knows 1 to {newest}")


def _check_buffers(root: Any) -> None:
    if not root.buffers:
        raise BadInputError("it has no buffers")
    if root.buffers[0].data is not None:
        raise BadInputError("its buffer 0 has data: LiteRT takes it for empty, TFLM does not")
    if any(buffer.offset or buffer.size for buffer in root.buffers):
        raise BadInputError("a buffer lies outside the tables of the file, where TFLM does not look")


def _check_metadata(root: Any) -> None:
    for entry in root.metadata or []:
        if entry.name is None or entry.buffer >= len(root.buffers):
            raise BadInputError("a metadata entry has no name, or a buffer that does not exist")
        if entry.name.decode("utf-8", "replace") in _OBEYED:
            raise BadInputError(
                f"its metadata {printable(entry.name)} changes how a runtime computes; "
                "use the file as the converter wrote it"
            )


def _check_signatures(root: Any, graph: Any) -> None:
    for signature in root.signature_defs or []:
        if signature.signature_key is None or signature.inputs is None or signature.outputs is None:
            raise BadInputError("a signature has no key, inputs or outputs: LiteRT refuses it")
        maps = [*signature.inputs, *signature.outputs]
        if signature.subgraph_index or any(entry.tensor_index >= len(graph.tensors or []) for entry in maps):
            raise BadInputError("a signature names a subgraph or a tensor that does not exist")


def _check_tensor(tensor: Any, where: str) -> None:
    """What LiteRT's interpreter builder refuses, and what a runtime would not see."""
    for field, what in _NOT_READ.items():
        if getattr(tensor, field):
            raise BadInputError(f"{where} {what}")
    shape = [] if tensor.shape is None else [int(size) for size in tensor.shape[:9]]
    if any(size < 0 for size in shape) or math.prod(shape) > _MAX_ELEMENTS:
        raise BadInputError(f"{where} has shape {tuple(shape)}")
    if tensor.type not in _ELEMENT_BYTES:
        raise BadInputError(f"{where} has type {tensor.type}, which TFLM or LiteRT does not know")
    try:
        (tensor.name or b"").decode()
    except UnicodeDecodeError as error:
        raise BadInputError(f"{where} has a name that is not UTF-8: LiteRT refuses it") from error
    signature = tensor.shape_signature
    if signature is not None and len(signature):
        pairs = zip(signature.tolist(), shape, strict=False)
        if len(signature) != len(shape) or any(size not in (-1, fixed) for size, fixed in pairs):
            raise BadInputError(f"{where} has shape {tuple(shape)} and another shape signature")
    if tensor.quantization is not None:
        _check_quantization(tensor.quantization, shape, where)


def _used(graph: Any) -> set[int]:
    """The tensors that an operator or the graph reads or writes."""
    lists = [graph.inputs, graph.outputs]
    for operator in graph.operators:
        lists += [operator.inputs, operator.outputs]
    return {int(index) for indices in lists if indices is not None for index in indices[:_MAX_LISTED]}


def _check_unused(root: Any, tensor: Any, where: str) -> None:
    """Runtimes check tensors that nothing uses too, and TFLM gives them memory."""
    if tensor.buffer >= len(root.buffers):
        raise BadInputError(f"{where} has buffer {tensor.buffer}, which does not exist")
    size = _ELEMENT_BYTES[tensor.type] * math.prod([] if tensor.shape is None else tensor.shape.tolist())
    content = root.buffers[tensor.buffer].data
    if content is None and size > _MAX_UNUSED:
        raise BadInputError(f"{where} is used by no operator and takes {int(size)} bytes of TFLM's memory")
    if content is not None and len(content) < size:
        raise BadInputError(f"{where} has {len(content)} bytes, its shape needs {math.ceil(size)}")


_NOT_READ: Mapping[str, str] = MappingProxyType(
    {
        "is_variable": "is variable: LiteRT refuses that of weights, TFLM resets them",
        "sparsity": "is sparse, which is not supported",
        "variant_tensors": "holds other tensors, which is not supported",
        "external_buffer": "lies in another file, where TFLM does not look",
    }
)


def _check_quantization(quantization: Any, shape: list[int], where: str) -> None:
    """``InterpreterBuilder::ParseQuantization``, tensorflow/lite/core/interpreter_builder.cc."""
    if quantization.details or quantization.details_type:
        raise BadInputError(f"{where} has a custom quantization, which is not supported")
    scales = 0 if quantization.scale is None else len(quantization.scale)
    zero_points = 0 if quantization.zero_point is None else len(quantization.zero_point)
    if scales != zero_points:
        raise BadInputError(f"{where} has {scales} scales and {zero_points} zero points: LiteRT refuses it")
    axis = quantization.quantized_dimension
    if scales and shape and not 0 <= axis < len(shape):
        raise BadInputError(f"{where} has scales along axis {axis} of {len(shape)}")


def _check_operator(operator: Any, name: str, where: str) -> None:
    if operator.custom_options or operator.large_custom_options_offset or operator.large_custom_options_size:
        raise BadInputError(f"{where} has custom options: TFLM refuses them, LiteRT does not")
    if operator.options_2 or operator.options_2_type:
        raise BadInputError(f"{where} has options of another kind as well")
    if operator.intermediates is not None and len(operator.intermediates):
        raise BadInputError(f"{where} has intermediate tensors, which it does not need")
    if operator.mutating_variable_inputs is not None and operator.mutating_variable_inputs.any():
        raise BadInputError(f"{where} changes its inputs, which is not supported")
    expected = _OPERATORS[name][0]
    if operator.options_type not in expected:
        raise BadInputError(
            f"{where} has options of type {operator.options_type}, not {expected[0]}: "
            "runtimes read those as default options, or refuse them"
        )
