"""What to say of what cannot be taken: operators that are not known, and tensors that are left float."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from lenet_edge.formats.onnx.reader.graph import Graph, Node, printable

__all__ = ["float_edges_problem", "unsupported_problem"]

_SHOWN = 8
_FLOAT = (
    "the model is float: quantise it, with `lenet-edge quantize --epochs 0 --model FILE --data PICTURES` or "
    "onnxruntime.quantization.quantize_static"
)
_DYNAMIC = (
    "the model is quantised dynamically: its scales are found at run time. Quantise the float model statically, with "
    "`lenet-edge quantize --epochs 0` or onnxruntime.quantization.quantize_static"
)
_OF_DYNAMIC = frozenset({"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"})
_FOLD = (
    "fold batch normalisation into the convolutions before quantising "
    "(onnxruntime.quantization.shape_inference.quant_pre_process does)"
)
_QOPERATOR = (
    "quantise with quant_format=QuantFormat.QDQ: graphs of QLinearConv and other quantised operators are not read"
)
_ACTIVATION = "as activations Relu, Clip to 0..6, LeakyRelu, Sigmoid and Tanh are supported"
_STATE = "recurrent and conditional graphs are not supported"
_LARGER = "end the network before it is enlarged"
_WAYS_OUT: Mapping[str, str] = MappingProxyType(
    {
        "BatchNormalization": _FOLD,
        **dict.fromkeys(("QLinearConv", "QLinearMatMul", "QLinearAdd", "ConvInteger", "MatMulInteger"), _QOPERATOR),
        **dict.fromkeys(("HardSigmoid", "HardSwish", "Gelu", "Erf", "Elu", "PRelu"), _ACTIVATION),
        **dict.fromkeys(("LSTM", "GRU", "RNN", "Loop", "Scan", "If"), _STATE),
        **dict.fromkeys(("Resize", "Upsample", "ConvTranspose", "DepthToSpace"), _LARGER),
        "LayerNormalization": "normalise with batch normalisation, which folds into the weights",
        "TopK": "end the model before it, and choose the class from its outputs",
    }
)


def unsupported_problem(nodes: Sequence[Node], supported: Collection[str]) -> str | None:
    """All operators that are not `supported`, with what to do where that is known; None if there are none."""
    if not any(node.operator in ("QuantizeLinear", "DequantizeLinear") for node in nodes):
        if any(node.operator.startswith("QLinear") for node in nodes):
            return _QOPERATOR
        return _DYNAMIC if any(node.operator in _OF_DYNAMIC for node in nodes) else _FLOAT
    places: dict[str, list[str]] = {}
    for node in nodes:
        if node.operator not in supported:
            places.setdefault(node.operator, []).append(node.name or node.output_name)
    if not places:
        return None
    listed = ", ".join(f"{printable(kind)} ({_names(found)})" for kind, found in list(places.items())[:_SHOWN])
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    ways = dict.fromkeys(way for kind in places if (way := _WAYS_OUT.get(kind)))
    kinds = "an operator is" if len(places) == 1 else f"{len(places)} kinds of operators are"
    return "; ".join([f"{kinds} not supported: {listed}{more}", *ways, f"known: {', '.join(sorted(supported))}"])


def _names(found: list[str]) -> str:
    shown = ", ".join(map(printable, found[:3]))
    return shown if len(found) <= 3 else f"{shown} and {len(found) - 3} more"


def float_edges_problem(graph: Graph, names: Sequence[str]) -> str:
    """Which tensors have no scale, and how they get one."""
    makers = {output: node.operator for node in graph.nodes for output in node.outputs}
    described = []
    for name in names[:_SHOWN]:
        kind = f"of {makers[name]}" if name in makers else "the input"
        described.append(f"{printable(name)!r} ({kind}{', an output' if name in graph.outputs else ''})")
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    what = "the tensor" if len(names) == 1 else f"{len(names)} tensors"
    return (
        f"{what} {', '.join(described)}{more} {'is' if len(names) == 1 else 'are'} float and without a scale: no "
        "QuantizeLinear follows. Quantise the model with them, its output too; or take the range on inputs of yours: "
        "lenet-edge export --target tflite --model FILE --calibrate DATA"
    )
