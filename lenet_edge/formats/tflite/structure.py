"""The FlatBuffers level of a .tflite: every table that decides something, checked and read in one pass.

LiteRT runs FlatBuffers' verifier over a file before it reads from it; TFLM trusts every offset. To make sure that both
follow the same offsets to the same values as we do, everything that the verifier checks is checked here
(``flatbuffers/verifier.h``: bounds, alignment, terminated strings), and one more thing: a field lies within the
inline part of its table, as every writer puts it. Unknown fields are refused, since a newer runtime may read them.

What is built is bounded by the number of tables; vectors are views of the file's bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.schema import IDENTIFIER

__all__ = ["parse"]

_MAX_TABLES = 1 << 16
_MAX_VTABLE = 128  # bytes; the schema's largest has 32
_MAX_TEXT = 4 << 20  # bytes of all names together; tables may share one

# The schema (tensorflow/compiler/mlir/lite/schema/schema.fbs), fields in the order of their ids: "name type default".
# Types are numpy's for scalars, "[...]" for vectors; "string" is bytes or None, "union" the type's number and its
# table, "presence" a thing that is not read: whether it is there is enough to refuse it.
_SCHEMA: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Model": (
            "version u4",
            "operator_codes [OperatorCode]",
            "subgraphs [SubGraph]",
            "description string",
            "buffers [Buffer]",
            "metadata_buffer [i4]",
            "metadata [Metadata]",
            "signature_defs [SignatureDef]",
            "external_buffer_groups presence",
            "external_buffers presence",
        ),
        "OperatorCode": ("deprecated_builtin_code i1", "custom_code string", "version i4 1", "builtin_code i4"),
        "SubGraph": (
            "tensors [Tensor]",
            "inputs [i4]",
            "outputs [i4]",
            "operators [Operator]",
            "name string",
            "debug_metadata_index i4 -1",
        ),
        "Tensor": (
            "shape [i4]",
            "type i1",
            "buffer u4",
            "name string",
            "quantization Quantization",
            "is_variable u1",
            "sparsity presence",
            "shape_signature [i4]",
            "has_rank u1",
            "variant_tensors presence",
            "external_buffer u4",
        ),
        "Quantization": (
            "min [f4]",
            "max [f4]",
            "scale [f4]",
            "zero_point [i8]",
            "details_type u1",
            "details presence",
            "quantized_dimension i4",
        ),
        "Operator": (
            "opcode_index u4",
            "inputs [i4]",
            "outputs [i4]",
            "options_type u1",
            "options union",
            "custom_options presence",
            "custom_options_format i1",
            "mutating_variable_inputs [u1]",
            "intermediates [i4]",
            "large_custom_options_offset u8",
            "large_custom_options_size u8",
            "options_2_type u1",
            "options_2 presence",
            "debug_metadata_index i4 -1",
        ),
        "Buffer": ("data [u1]", "offset u8", "size u8"),
        "Metadata": ("name string", "buffer u4"),
        "SignatureDef": (
            "inputs [TensorMap]",
            "outputs [TensorMap]",
            "signature_key string",
            "deprecated_tag string",
            "subgraph_index u4",
        ),
        "TensorMap": ("name string", "tensor_index u4"),
        "Conv2DOptions": (
            "padding i1",
            "stride_w i4",
            "stride_h i4",
            "fused_activation_function i1",
            "dilation_w_factor i4 1",
            "dilation_h_factor i4 1",
            "quantized_bias_type i1",
        ),
        "DepthwiseConv2DOptions": (
            "padding i1",
            "stride_w i4",
            "stride_h i4",
            "depth_multiplier i4",
            "fused_activation_function i1",
            "dilation_w_factor i4 1",
            "dilation_h_factor i4 1",
        ),
        "Pool2DOptions": (
            "padding i1",
            "stride_w i4",
            "stride_h i4",
            "filter_width i4",
            "filter_height i4",
            "fused_activation_function i1",
        ),
        "FullyConnectedOptions": (
            "fused_activation_function i1",
            "weights_format i1",
            "keep_num_dims u1",
            "asymmetric_quantize_inputs u1",
            "quantized_bias_type i1",
            "quant_spec presence",
        ),
        "SoftmaxOptions": ("beta f4",),
        "ReshapeOptions": ("new_shape [i4]",),
        "ConcatenationOptions": ("axis i4", "fused_activation_function i1"),
        "AddOptions": ("fused_activation_function i1", "pot_scale_int16 u1 1"),
        "SubOptions": ("fused_activation_function i1", "pot_scale_int16 u1 1"),
        "MulOptions": ("fused_activation_function i1",),
        "PadOptions": (),
        "PadV2Options": (),
        "BatchToSpaceNDOptions": (),
        "SpaceToBatchNDOptions": (),
        "TransposeOptions": (),
        "ReducerOptions": ("keep_dims u1",),
        "SqueezeOptions": ("squeeze_dims [i4]",),
        "ExpandDimsOptions": (),
        "StridedSliceOptions": (
            "begin_mask i4",
            "end_mask i4",
            "ellipsis_mask i4",
            "new_axis_mask i4",
            "shrink_axis_mask i4",
            "offset u1",
        ),
        "SplitOptions": ("num_splits i4",),
        "QuantizeOptions": (),
        "DequantizeOptions": (),
        "ShapeOptions": ("out_type i1",),
        "PackOptions": ("values_count i4", "axis i4"),
        "LeakyReluOptions": ("alpha f4",),
    }
)
_OPTIONS: Mapping[int, str] = MappingProxyType(
    {
        1: "Conv2DOptions",
        2: "DepthwiseConv2DOptions",
        5: "Pool2DOptions",
        8: "FullyConnectedOptions",
        9: "SoftmaxOptions",
        10: "ConcatenationOptions",
        11: "AddOptions",
        17: "ReshapeOptions",
        21: "MulOptions",
        22: "PadOptions",
        24: "BatchToSpaceNDOptions",
        25: "SpaceToBatchNDOptions",
        26: "TransposeOptions",
        27: "ReducerOptions",
        28: "SubOptions",
        30: "SqueezeOptions",
        32: "StridedSliceOptions",
        35: "SplitOptions",
        38: "DequantizeOptions",
        43: "PadV2Options",
        52: "ExpandDimsOptions",
        55: "ShapeOptions",
        59: "PackOptions",
        75: "LeakyReluOptions",
        89: "QuantizeOptions",
    }
)
"""The union ``BuiltinOptions``: the members that operators of ours have; others are not read."""


def parse(data: bytes) -> Any:
    """The root table ``Model`` of a .tflite as a tree of objects with an attribute for each field of the schema.

    A vector of numbers is a numpy view, a vector of tables a list; what is absent is None.

    Raises:
        BadInputError: an offset, a length or an alignment that FlatBuffers' verifier refuses, or an unknown field.
    """
    if len(data) < 32 or data[4:8] != IDENTIFIER:
        raise BadInputError("not a .tflite file (its identifier TFL3 is missing)")
    parser = _Parser(data)
    return parser.table("Model", parser.offset(0, "its root"))


class _Parser:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tables = 0
        self.text = 0

    def fail(self, what: str) -> BadInputError:
        return BadInputError(f"the .tflite is damaged: {what}")

    def number(self, position: int, kind: str, what: str) -> Any:
        """The little-endian scalar of numpy type `kind` at `position`."""
        size = int(kind[1])
        if position < 0 or position + size > len(self.data) or position % size:
            raise self.fail(f"{what} at byte {position} lies outside the file or is not aligned")
        return struct.unpack_from(_FORMATS[kind], self.data, position)[0]

    def offset(self, position: int, what: str) -> int:
        """The position that the offset at `position` points to."""
        distance = self.number(position, "u4", what)
        if not 0 < distance < 1 << 31:
            raise self.fail(f"{what} at byte {position} has the offset {distance}")
        return int(position + distance)

    def table(self, name: str, position: int) -> Any:
        """The table `name` at `position`: each field of its schema, defaults where the file has none."""
        self.tables += 1
        if self.tables > _MAX_TABLES:
            raise BadInputError(f"the .tflite has more than {_MAX_TABLES} tables")
        vtable = position - self.number(position, "i4", name)
        length = self.number(vtable, "u2", f"the vtable of {name}")
        inline = self.number(vtable + 2, "u2", f"the vtable of {name}")
        if length < 4 or length % 2 or vtable + length > len(self.data) or position + inline > len(self.data):
            raise self.fail(f"the vtable of {name} at byte {vtable} has {length} bytes for a table of {inline}")
        if length > _MAX_VTABLE:
            raise BadInputError(f"its {name} has fields that are not known here: runtimes may read it differently")
        slots = struct.unpack_from(f"<{length // 2 - 2}H", self.data, vtable + 4)
        fields = _FIELDS[name]
        if any(slots[len(fields) :]):
            raise BadInputError(f"its {name} has a field that is not known here: runtimes may read it differently")
        values: dict[str, Any] = {}
        for index, (field, kind, default, size) in enumerate(fields):
            slot = slots[index] if index < len(slots) else 0
            if slot and (slot < 4 or slot + size > inline):
                raise self.fail(f"{name}.{field} lies outside its table")
            values[field] = self.field(name, values, field, kind, position + slot) if slot else default
        return SimpleNamespace(**values)

    def field(self, name: str, values: dict[str, Any], field: str, kind: str, position: int) -> Any:
        what = f"{name}.{field}"
        if kind in _FORMATS:
            return self.number(position, kind, what)
        target = self.offset(position, what)
        if kind == "presence":
            return True
        if kind == "union":
            member = _OPTIONS.get(values["options_type"])
            return self.table(member, target) if member else None
        if kind == "string":
            return self.string(target, what)
        if kind.startswith("["):
            element = kind[1:-1]
            return self.numbers(target, element, what) if element in _FORMATS else self.list(target, element, what)
        return self.table(kind, target)

    def string(self, position: int, what: str) -> bytes:
        length = self.number(position, "u4", what)
        end = position + 4 + length
        if end >= len(self.data) or self.data[end] != 0:
            raise self.fail(f"{what} at byte {position} is not terminated")
        self.text += length
        if self.text > _MAX_TEXT:
            raise BadInputError(f"the names in the .tflite are more than {_MAX_TEXT} bytes")
        return self.data[position + 4 : end]

    def numbers(self, position: int, kind: str, what: str) -> Any:
        count = self.number(position, "u4", what)
        if position + 4 + count * int(kind[1]) > len(self.data):
            raise self.fail(f"{what} at byte {position} has {count} elements, more than the file holds")
        return np.frombuffer(self.data, "<" + kind, count, position + 4)

    def list(self, position: int, name: str, what: str) -> list[Any]:
        offsets = self.numbers(position, "u4", what)
        if len(offsets) > _MAX_TABLES:
            raise BadInputError(f"the .tflite has more than {_MAX_TABLES} tables")
        start = position + 4
        return [self.table(name, self.offset(start + 4 * index, what)) for index in range(len(offsets))]


_FORMATS = {"i1": "<b", "u1": "<B", "u2": "<H", "i4": "<i", "u4": "<I", "i8": "<q", "u8": "<Q", "f4": "<f"}


def _described(text: str) -> tuple[str, str, Any, int]:
    """(name, type, default, inline bytes) of a field."""
    name, kind, *default = text.split()
    if kind in _FORMATS:
        return name, kind, int(default[0]) if default else 0, int(kind[1])
    return name, kind, None, 4


_FIELDS = {name: tuple(map(_described, fields)) for name, fields in _SCHEMA.items()}
