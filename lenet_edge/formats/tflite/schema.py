"""What reader and writer share: the official schema classes, operators, versions, fused activations."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from ai_edge_litert import schema_py_generated as _schema

from lenet_edge.quantized.clamps import activation_clamp

__all__ = ["ACTIVATIONS", "IDENTIFIER", "METADATA_NAME", "OPERATOR_VERSIONS", "S", "activation_clamp", "operator_name"]

# The generated classes carry no types.
S: Any = _schema

IDENTIFIER = b"TFL3"
METADATA_NAME = "lenet_edge"

OPERATOR_VERSIONS = MappingProxyType(
    {
        "CONV_2D": 3,  # 3: int8 with per-channel scales
        "DEPTHWISE_CONV_2D": 3,
        "FULLY_CONNECTED": 5,  # 5: per-channel scales; 4 for one scale
        "MAX_POOL_2D": 2,  # 2: int8
        "AVERAGE_POOL_2D": 2,
        "LOGISTIC": 2,
        "TANH": 2,
        "RESHAPE": 1,
        "SOFTMAX": 2,
        "QUANTIZE": 2,  # 2: from int8 to int8
        "RELU": 2,
        "RELU6": 2,
        "LEAKY_RELU": 2,
        "ADD": 2,
        "SUB": 2,
        "MUL": 2,
        "CONCATENATION": 2,
        "MEAN": 2,
        "PAD": 2,
        "PADV2": 2,
        "STRIDED_SLICE": 2,
        "TRANSPOSE": 2,
    }
)
"""The operators that the toolkit reads and writes, with the version that every runtime took."""

ACTIVATIONS = MappingProxyType({"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3})
"""``ActivationFunctionType`` of the schema: those that are a clamp."""


def operator_name(code: int) -> str:
    """The schema's name of a builtin operator, or its number where it has none."""
    for name, value in vars(S.BuiltinOperator).items():
        if value == code and not name.startswith("_"):
            return str(name)
    return f"builtin operator {code}"
