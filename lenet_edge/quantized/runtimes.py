"""Which rounding rule each runtime uses for which operator. Rules are per operator, since runtimes mix them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from lenet_edge.quantized.clamps import as_xnnpack_clamps
from lenet_edge.quantized.float_mean import has_known_order
from lenet_edge.quantized.mean import ONNXRUNTIME
from lenet_edge.quantized.model import (
    Add,
    AveragePool2d,
    Conv2d,
    DepthwiseConv2d,
    FullyConnected,
    Layer,
    Lookup,
    Mean,
    Multiply,
    QuantizedModel,
    Rescale,
    Softmax,
    Subtract,
    groups_of,
)
from lenet_edge.quantized.requantize import RUY_BLOCKS

__all__ = ["REFERENCE", "RUNTIMES", "UNKNOWN", "RuntimeRules", "rules_of", "unknown_layers"]

UNKNOWN = "unknown"
"""The rule of an operator whose integers under a runtime cannot be predicted."""


@dataclass(frozen=True)
class RuntimeRules:
    """The rules of one runtime, by operator; names that `requantize` takes, unless said otherwise.

    Attributes:
        convolution: CONV_2D.
        grouped: CONV_2D with groups; nothing where it is as without.
        depthwise: DEPTHWISE_CONV_2D.
        fully_connected: FULLY_CONNECTED.
        softmax: SOFTMAX: "tflm" for its fixed point, "float32", or "litert" for float32 from a table.
        lookup: LOGISTIC and TANH, a name of `lookup.TABLE_RULES`; "tflm" where the artefact carries the model's tables.
        average_pool: AVERAGE_POOL_2D: "tflm" for ties away from zero, or "onnxruntime" for its sums in float32.
        sum: ADD; a name of `elementwise.SUM_RULES`, or `UNKNOWN`.
        difference: SUB; of `elementwise.DIFFERENCE_RULES`, or `UNKNOWN`.
        product: MUL; of `elementwise.PRODUCT_RULES`, or `UNKNOWN`.
        mean: MEAN; of `mean.MEAN_RULES`, `mean.ONNXRUNTIME`, `mean.ONNXRUNTIME_GLOBAL`, or `UNKNOWN`.
        rescale: QUANTIZE inside, and RELU, RELU6, LEAKY_RELU by themselves; of `rescale.RESCALE_RULES`, or `UNKNOWN`.
        clamp: how the bounds of a fused activation are rounded: "tflm" for half away from zero, or "xnnpack".
        of_layers: (name of a layer, its rule) where that is not the one of its operator.
    """

    convolution: str
    depthwise: str
    fully_connected: str
    softmax: str = "float32"
    lookup: str = "tflm"
    average_pool: str = "tflm"
    sum: str = UNKNOWN
    difference: str = UNKNOWN
    product: str = UNKNOWN
    mean: str = UNKNOWN
    rescale: str = UNKNOWN
    clamp: str = "tflm"
    grouped: str = ""
    of_layers: tuple[tuple[str, str], ...] = ()

    def for_layer(self, layer: Layer) -> str:
        """The name of the rule that the runtime uses for that layer."""
        for name, rule in self.of_layers:
            if layer.name == name:
                return rule
        if isinstance(layer, Conv2d) and groups_of(layer) > 1:
            return self.grouped or self.convolution
        if isinstance(layer, Mean) and self.mean == ONNXRUNTIME and not has_known_order(layer):
            return UNKNOWN
        rules: dict[type[Layer], str] = {
            DepthwiseConv2d: self.depthwise,
            FullyConnected: self.fully_connected,
            Softmax: self.softmax,
            Lookup: self.lookup,
            AveragePool2d: self.average_pool,
            Add: self.sum,
            Subtract: self.difference,
            Multiply: self.product,
            Mean: self.mean,
            Rescale: self.rescale,
        }
        return rules.get(type(layer), self.convolution)

    def as_clamped(self, layer: Layer) -> Layer:
        """The layer with the clamp that the runtime gives it."""
        return as_xnnpack_clamps(layer) if self.clamp == "xnnpack" else layer

    def __str__(self) -> str:
        return (
            f"convolution {self.convolution}, depthwise {self.depthwise}, fully connected {self.fully_connected}, "
            f"sigmoid and tanh {self.lookup}, average pool {self.average_pool}, softmax {self.softmax}"
        )

    def described(self, model: QuantizedModel) -> str:
        """The rules in words, with those of sums, products, means and rescaling where the model has such layers."""
        words = {Add: "sum", Subtract: "difference", Multiply: "product", Mean: "mean", Rescale: "rescale"}
        extra = {words[type(layer)]: self.for_layer(layer) for layer in model.layers if type(layer) in words}
        return ", ".join([str(self), *(f"{word} {rule}" for word, rule in extra.items())])


def rules_of(runtime: str, model: QuantizedModel) -> RuntimeRules | None:
    """The rules of a runtime for what it runs of the model; None where none are known.

    Of a model that was read from ONNX, ONNX Runtime runs the file's own graph, with operators of its own in places.
    """
    rules, imported = RUNTIMES.get(runtime), model.metadata.get("imported")
    if rules is None or imported is None or runtime != "onnxruntime":
        return rules
    return replace(rules, of_layers=tuple(imported.rules.items()))


def unknown_layers(model: QuantizedModel, rules: RuntimeRules) -> tuple[str, ...]:
    """The names of the layers whose integers those rules do not predict."""
    return tuple(layer.name for layer in model.layers if rules.for_layer(layer) == UNKNOWN)


def _operators(sums: str, products: str, means: str, rescale: str) -> dict[str, Any]:
    return {"sum": sums, "difference": sums, "product": products, "mean": means, "rescale": rescale}


REFERENCE = RuntimeRules("tflm", "tflm", "tflm", softmax="tflm", **_operators("tflm", "tflm", "tflm", "tflm"))
_FLOAT32 = RuntimeRules("float32", "float32", "float32")
_ONNXRUNTIME = RuntimeRules("float32", "float32", "float32", average_pool="onnxruntime", rescale="tflm")
_ONNXRUNTIME = replace(_ONNXRUNTIME, sum="onnxruntime", difference="float", product="onnxruntime", mean=ONNXRUNTIME)

RUNTIMES: Mapping[str, RuntimeRules] = MappingProxyType(
    {
        "host_c": REFERENCE,
        "tflm": REFERENCE,
        "litert-reference": RuntimeRules(
            *("tflm", "tflm", "single"),
            softmax="tflm",
            lookup="litert",
            **_operators("tflm", "litert", "tflm", "litert-reference"),
        ),
        "litert-builtin": RuntimeRules(
            *("ruy", RUY_BLOCKS, "ruy"),
            softmax="litert",
            lookup="litert",
            grouped="tflm",
            **_operators("tflm", "litert", "litert", "litert"),
        ),
        "litert-xnnpack": replace(
            _FLOAT32,
            softmax="litert",
            lookup="xnnpack",
            clamp="xnnpack",
            **_operators("xnnpack", "xnnpack", "xnnpack", "xnnpack"),
        ),
        "tf-lite": replace(
            _FLOAT32,
            softmax="litert",
            lookup="tf-lite",
            clamp="xnnpack",
            **_operators("xnnpack", "xnnpack", "tf-lite", "xnnpack"),
        ),
        "tflite-runtime": RuntimeRules(
            *("ruy", "tflm", "ruy"),
            softmax="litert",
            lookup="litert",
            grouped="tflm",
            **_operators("tflm", "litert", "tflite-runtime", "tflite-runtime"),
        ),
        "onnxruntime": _ONNXRUNTIME,
        "onnxruntime-qoperator": _ONNXRUNTIME,
        "pytorch": replace(_FLOAT32, sum="float"),
    }
)
"""The rules of the engines whose accumulators are integers, by the engine's name; found by probing each with
accumulators next to ties (tests/parity/test_rounding_rules.py). ONNX Runtime without its optimiser runs QDQ in float,
so no rule of this kind describes it exactly."""
