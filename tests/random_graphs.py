"""Random .tflite graphs of all operators that are read, small enough that thousands of them run in minutes.

Each operator reads any tensors before it, so tensors have several readers, and models several inputs and outputs; the
ends are int8, uint8 or float32.
"""

from __future__ import annotations

from graph_files import FLOAT32, UINT8
from random_graph_operators import OPERATORS, RandomGraph, Value
from random_graph_patterns import PATTERNS
from random_operators import Drawer

__all__ = ["random_graph"]


def _add_input(graph: RandomGraph) -> None:
    draw = graph.draw
    shape = (1, *(draw.integer(1, 8) for _ in range(draw.pick(1, 2, 3, 3, 3))))
    value = graph.new(shape)
    kind = draw.pick("int8", "int8", UINT8, FLOAT32)
    if kind == "int8":
        graph.inputs.append(value.index)
        graph.values.append(value)
        return
    end = graph.file.tensor(shape, *_end_scaling(draw, kind, value), kind)
    graph.inputs.append(end)
    graph.add("QUANTIZE", [end], [value], "QuantizeOptions")


def _end_scaling(draw: Drawer, kind: int, value: Value) -> tuple[float | None, int]:
    """Of a uint8 end mostly that of its int8 tensor; a float has none."""
    if kind == FLOAT32:
        return None, 0
    return draw.pick((value.scale, value.zero_point + 128), (draw.scale(), draw.integer(0, 255)))


def _output(graph: RandomGraph, value: Value) -> int:
    """The index of the model's output that gives this tensor."""
    draw = graph.draw
    kind = draw.pick("int8", "int8", UINT8, FLOAT32)
    if kind == "int8":
        return value.index
    end = graph.file.tensor(value.shape, *_end_scaling(draw, kind, value), kind)
    name, options = ("DEQUANTIZE", "DequantizeOptions") if kind == FLOAT32 else ("QUANTIZE", "QuantizeOptions")
    graph.file.operator(name, [value.index], [end], options, 2)
    return end


def random_graph(seed: int) -> tuple[bytes, list[str]]:
    """The bytes of a .tflite, and the names of its operators but for those at its ends."""
    graph = RandomGraph(seed)
    draw = graph.draw
    for _ in range(draw.pick(1, 1, 1, 2, 3)):
        _add_input(graph)
    functions = [function for function, often in (OPERATORS | PATTERNS).items() for _ in range(often)]
    for _ in range(draw.integer(1, 10)):
        draw.pick(*functions)(graph)
    while unread := [index for index in graph.inputs if index not in graph.read]:
        value = next(value for value in graph.values if value.index == unread[0])
        graph.add("RELU", [value], [graph.new(value.shape)])
    ends = [value for value in graph.values if value.index not in graph.read]
    also = [value for value in graph.values if value.index in graph.read and value.index not in graph.inputs]
    if also and draw.pick(*[False] * 4, True):  # an output that operators read, too
        indices = [draw.pick(*also).index, *(_output(graph, value) for value in ends)]
    else:
        indices = [_output(graph, value) for value in ends]
    return graph.file.data(graph.inputs, indices), graph.names
