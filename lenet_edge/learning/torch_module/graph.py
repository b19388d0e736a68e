"""A module as operations that read one another, traced by `torch.export`: ATen operators with the user's lines."""

from __future__ import annotations

import logging
import operator
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from lenet_edge.errors import BadInputError
from lenet_edge.learning.torch_module.source import Source, own_code

__all__ = ["FLOW", "IMAGES", "Operation", "Place", "operations", "readers_of_images"]

_FRAME = re.compile(r'File "(.+?)", line (\d+), in')
_CALL = re.compile(r"The following call raised this error:\n(.*)", re.DOTALL)


class _Flow:
    """Stands in an operation's arguments for what flows through the network."""

    def __repr__(self) -> str:
        return "the images"


FLOW = _Flow()
IMAGES = "images"  # no node of the graph: those that read the images read this


@dataclass(frozen=True)
class Place:
    """Where an operation stands.

    Attributes:
        line: ``my_net.py:14``; None where only PyTorch's own lines are known.
        path: of the module within the user's, such as ``features.5``; empty for the user's module itself.
        type: of the module, such as ``LeakyReLU``; empty where it is not one of PyTorch's own.
    """

    line: str | None
    path: str
    type: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.line, self.path if self.type else "") if part)


@dataclass(frozen=True, eq=False)
class Operation:
    """One ATen operator on what flows through the network.

    Attributes:
        kind: its name, such as ``conv2d``, also of the form that works in place.
        arguments: by their names in the operator's schema; `FLOW`, constants as tensors and numbers.
        name: of what it gives.
        sources: the names of what flows into it, in the order of its arguments; `IMAGES` is the module's input.
        readers: how often what it gives is read.
        input_shapes, shape: of all that flows in, and of what flows out, with the batch.
        weight: the parameter's name, where there is an argument `weight` that is one.
    """

    kind: str
    arguments: Mapping[str, Any]
    name: str
    sources: tuple[str, ...]
    readers: int
    input_shapes: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...]
    place: Place
    weight: str | None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of what flows in first, with the batch."""
        return self.input_shapes[0]


def operations(module: nn.Module, images: Tensor, source: Source) -> list[Operation]:
    """The operations from the images to the logits, in the order of execution.

    Args:
        module: in evaluation mode; it was seen to work on `images`.
        images: float32 ``[n, c, h, w]``, n at least 2.

    Raises:
        BadInputError: it cannot be traced, such as where its path depends on the values.
    """
    program = _exported(module, images, source)
    constants = _Constants(program)
    outputs = program.graph_signature.user_outputs
    nodes = {node.name: node for node in program.graph.nodes}
    used = _used(nodes[str(outputs[0])]) if len(outputs) == 1 and str(outputs[0]) in nodes else set()
    (images_name,) = program.graph_signature.user_inputs
    flow = {nodes[str(images_name)]: IMAGES}
    found = []
    for node in program.graph.nodes:
        if node not in used or node in flow:
            continue
        if not any(each in flow for each in node.all_input_nodes):
            constants.evaluate(node)
            continue
        found.append(_operation(node, flow, constants, source))
        flow[node] = node.name
    counts = Counter(name for operation in found for name in operation.sources)
    return [replace(each, readers=counts[each.name]) for each in found]


def readers_of_images(operations: Sequence[Operation]) -> int:
    """How often the operations read the images themselves."""
    return sum(operation.sources.count(IMAGES) for operation in operations)


def _exported(module: nn.Module, images: Tensor, source: Source) -> torch.export.ExportedProgram:
    disabled = logging.root.manager.disable
    try:
        logging.disable(logging.CRITICAL)  # what it would say is in the exception
        with warnings.catch_warnings(), own_code(source, "tracing with torch.export", shown=False), torch.no_grad():
            warnings.simplefilter("ignore")
            try:
                return torch.export.export(module, (images,))
            except Exception as error:
                raise _untraceable(error, source) from error
    finally:
        logging.disable(disabled)


def _untraceable(error: Exception, source: Source) -> BadInputError:
    """What to say where `torch.export` gives up: the user's line and the first line of the reason."""
    failure = source.failure(error, "tracing with torch.export")
    if "data-dependent" not in str(error):
        return failure
    frames = [(name, int(line)) for name, line in _FRAME.findall("".join(_CALL.findall(str(error))))]
    place = source.place(frames) or "its forward"
    return BadInputError(
        f"{source.reference}: what {place} does depends on the values of the images, such as an `if` on them. "
        "A network computes the same for every image: take the condition out of forward."
    )


def _used(output: fx.Node) -> set[fx.Node]:
    """The nodes that the output is computed from, and itself."""
    found, waiting = set(), [output]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += node.all_input_nodes
    return found


class _Constants:
    """What does not depend on the images: parameters, buffers, and all that is computed from them alone."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        signature, self._program = program.graph_signature, program
        self._held = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        self._values: dict[fx.Node, Any] = {}

    def parameter(self, node: fx.Node) -> str | None:
        """The name of the parameter that the node is."""
        name: str | None = self._program.graph_signature.inputs_to_parameters.get(node.name)
        return name

    def evaluate(self, node: fx.Node) -> None:
        """Compute the node from those before it."""
        if node.op == "placeholder" and node.name in self._held:
            name = self._held[node.name]
            held = {**self._program.constants, **self._program.state_dict}
            self._values[node] = held[name].detach()
        elif node.op == "call_function" and callable(node.target):
            with torch.no_grad():
                self._values[node] = node.target(*self.map(node.args), **self.map(node.kwargs))

    def map(self, arguments: Any) -> Any:
        """Arguments with values instead of nodes, and `FLOW` instead of those that depend on the images."""
        return fx.map_arg(arguments, lambda node: self._values.get(node, FLOW))


def _operation(node: fx.Node, flow: Mapping[fx.Node, str], constants: _Constants, source: Source) -> Operation:
    inputs = [each for each in _occurrences(node) if each in flow]
    weight = node.args[1] if len(node.args) > 1 else None
    return Operation(
        _kind(node),
        _arguments(node, constants),
        node.name,
        tuple(flow[each] for each in inputs),
        0,
        tuple(map(_shape, inputs)),
        _shape(node),
        _place(node, source),
        constants.parameter(weight) if isinstance(weight, fx.Node) else None,
    )


def _occurrences(node: fx.Node) -> Iterator[fx.Node]:
    """Its input nodes, one that is used twice also twice."""
    found: list[fx.Node] = []
    fx.map_arg((node.args, node.kwargs), lambda each: found.append(each))
    return iter(found)


def _kind(node: fx.Node) -> str:
    if isinstance(node.target, torch._ops.OpOverload):
        name = str(node.target._schema.name).partition("::")[2]
        return name.rstrip("_") or name
    return "getitem" if node.target is operator.getitem else getattr(node.target, "__name__", str(node.target))


def _arguments(node: fx.Node, constants: _Constants) -> dict[str, Any]:
    given, named = constants.map(node.args), constants.map(node.kwargs)
    if not isinstance(node.target, torch._ops.OpOverload):
        return {str(index): value for index, value in enumerate(given)} | dict(named)
    schema = node.target._schema.arguments
    defaults = {argument.name: argument.default_value for argument in schema}
    return defaults | {argument.name: value for argument, value in zip(schema, given, strict=False)} | dict(named)


def _shape(node: fx.Node) -> tuple[int, ...]:
    value = node.meta.get("val")
    return tuple(int(size) for size in value.shape) if isinstance(value, Tensor) else ()


def _place(node: fx.Node, source: Source) -> Place:
    frames = [(name, int(line)) for name, line in _FRAME.findall(node.meta.get("stack_trace") or "")]
    line = source.place(frames)
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    kind = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    own_type = kind.rpartition(".")[2] if kind.startswith("torch.nn.") else ""
    if line is None and own_type:  # an nn.Sequential: no line of the user's own runs
        calls = source.lines_that_call(own_type)
        line = f"{source.file.name}:{calls[0]}" if len(calls) == 1 else None
    return Place(line, re.sub(r"@\d+", "", path), own_type)
