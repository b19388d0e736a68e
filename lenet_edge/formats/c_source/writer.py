"""The artefact folder of ``export --target c``: generated tables and call sequence, with the kernels they use."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lenet_edge import __version__
from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes
from lenet_edge.formats.c_source import tables
from lenet_edge.formats.c_source.plan import Plan, Step, make_plan, windows_of
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.formats.c_source.templates import CMAKE_LISTS, EXAMPLE, MODEL_HEADER, MODEL_SOURCE
from lenet_edge.quantized.model import (
    WEIGHTED,
    AveragePool2d,
    Conv2d,
    DepthwiseConv2d,
    FullyConnected,
    Lookup,
    MaxPool2d,
    QuantizedModel,
    Softmax,
    macs,
)

__all__ = ["export", "facts", "weight_bytes"]

_WIDTH = 120
_MOST_OUTPUTS = 0x7FFF  # the class is an int, which has 16 bits somewhere
_SOURCES: Mapping[type, tuple[str, ...]] = {
    Conv2d: ("le_conv2d.c", "le_windows.c", "le_windows.h"),
    DepthwiseConv2d: ("le_depthwise_conv2d.c", "le_windows.c", "le_windows.h"),
    FullyConnected: ("le_fully_connected.c",),
    MaxPool2d: ("le_pool2d.c",),
    AveragePool2d: ("le_pool2d.c",),
    Lookup: ("le_lookup.c",),
    Softmax: ("le_softmax.c",),
}
_ALWAYS = ("le_kernels.h", "le_argmax.c", "le_flip_sign.c")


def export(model: QuantizedModel, kernels: Path) -> dict[str, bytes]:
    """The files of the artefact, by name.

    Args:
        model: the model, tie-free or not.
        kernels: the folder with the portable kernels (firmware/core).

    Raises:
        BadInputError: the model has a size or shape that the kernels do not take.
    """
    plan = make_plan(model)
    _require_ends(model)
    divisible = tables.is_divisible(model)
    sources = _kernel_sources(plan, divisible=divisible)
    texts = {
        "le_model.h": _header(model, plan, divisible=divisible),
        "le_model.c": _source(model, plan, divisible=divisible),
        "CMakeLists.txt": CMAKE_LISTS.substitute(
            _common(model), sources="\n".join(f"    {name}" for name in sorted(sources) if name.endswith(".c"))
        ),
        "example/main.c": EXAMPLE.substitute(_common(model)),
    }
    contents = {name: text.encode() for name, text in texts.items()}
    return contents | {name: read_bytes(kernels / name, "the kernel") for name in sorted(sources)}


def facts(model: QuantizedModel) -> dict[str, Any]:
    """What the manifest says beside the files: sizes in bytes, and the steps with their layers, output shapes, MACs."""
    plan, divisible = make_plan(model), tables.is_divisible(model)
    all_tables = [table for step_tables in _tables(plan, divisible=divisible) for table in step_tables]
    steps = [
        {
            "layers": list(step.names),
            "kind": _kind(step),
            "output": list(step.output.shape),
            "macs": macs(step.layer),
            "shows": step.shows,
        }
        for step in plan.steps
    ]
    return {
        "classes": math.prod(model.output.shape),
        "input_bytes": math.prod(model.input.shape),
        "requantization": "tie-free" if divisible else "double rounding",
        "steps": steps,
        "table_bytes": sum(len(tables.bytes_of(table)) for table in all_tables),
        "weight_bytes": weight_bytes(model),
        "workspace_bytes": _workspace_bytes(plan),
    }


def _workspace_bytes(plan: Plan) -> int:
    return max(plan.workspace_bytes, 4)  # C has no empty array


def _require_ends(model: QuantizedModel) -> None:
    if len(model.input.shape) != 3:
        raise BadInputError(
            f"the model takes {list(model.input.shape)}; C export expects an image [height, width, channels]"
        )
    if math.prod(model.output.shape) > _MOST_OUTPUTS:
        raise BadInputError(f"the model gives {list(model.output.shape)}; C export takes up to {_MOST_OUTPUTS} outputs")


def _kernel_sources(plan: Plan, *, divisible: bool) -> set[str]:
    names = set(_ALWAYS)
    for step in plan.steps:
        names |= set(_SOURCES[type(step.layer)])
    if any(isinstance(step.layer, (Conv2d, DepthwiseConv2d, FullyConnected)) for step in plan.steps):
        names.add("le_requantize_tie_free.c" if divisible else "le_requantize_double.c")
    return names


def _common(model: QuantizedModel) -> dict[str, object]:
    return {
        "arch": _printable(str(model.metadata.get("arch") or "model")),
        "fingerprint": model.fingerprint,
        "short": model.fingerprint[:16],
        "version": __version__,
    }


def _printable(text: str) -> str:
    """Text that can stand in a comment or a string literal."""
    return "".join(letter if letter.isalnum() or letter in " .-_" else "_" for letter in text if letter.isascii())


# --- le_model.h -----------------------------------------------------------------------------------


def _header(model: QuantizedModel, plan: Plan, *, divisible: bool) -> str:
    height, width, channels = model.input.shape
    all_tables = [table for step_tables in _tables(plan, divisible=divisible) for table in step_tables]
    return MODEL_HEADER.substitute(
        _common(model),
        height=height,
        width=width,
        channels=channels,
        input_bytes=math.prod(model.input.shape),
        outputs=math.prod(model.output.shape),
        input_scale=_decimal(model.input.scale),
        input_zero_point=model.input.zero_point,
        output_scale=_decimal(model.output.scale),
        output_zero_point=model.output.zero_point,
        workspace=_workspace_bytes(plan),
        steps=len(plan.steps),
        macs=sum(macs(step.layer) for step in plan.steps),
        table_bytes=sum(len(tables.bytes_of(table)) for table in all_tables),
        weight_bytes=weight_bytes(model),
        crc=f"0x{tables.crc32(all_tables):08x}",
    )


def weight_bytes(model: QuantizedModel) -> int:
    """Bytes of the weights (int8) and biases (int32), what every implementation of the model has to keep."""
    return sum(
        layer.weights.size + 4 * layer.bias.size
        for layer in model.layers
        if isinstance(layer, (Conv2d, DepthwiseConv2d, FullyConnected))
    )


def _decimal(scale: float) -> str:
    """A float32 as the shortest decimal that reads back to it."""
    return np.format_float_scientific(np.float32(scale), unique=True, trim="0")


# --- le_model.c -----------------------------------------------------------------------------------


def _source(model: QuantizedModel, plan: Plan, *, divisible: bool) -> str:
    names = _identifiers(plan)
    step_tables = _tables(plan, divisible=divisible)
    all_tables = [table for part in step_tables for table in part]
    classes = ",\n".join(f'    "{_escaped(name)}"' for name in _classes(model))
    named = list(zip(names, plan.steps, strict=True))
    return MODEL_SOURCE.substitute(
        _common(model),
        kernels_version=_kernels_version(),
        classes=classes,
        outputs=math.prod(model.output.shape),
        tables="\n".join(_array(table) for table in all_tables),
        layers="\n".join(filter(None, (_structures(*step, divisible=divisible) for step in named))),
        assertions="\n".join(_assertions(plan)),
        cases="\n".join(_case(name, index, step) for index, (name, step) in enumerate(named)),
        views="\n".join(_view(index, step) for index, step in enumerate(plan.steps)),
        folds="\n".join(line for table in all_tables for line in _folds(table)),
    )


def _classes(model: QuantizedModel) -> Iterable[str]:
    """A name for every output; numbers where the model ends with [height, width, channels]."""
    count = math.prod(model.output.shape)
    return model.classes if len(model.classes) == count else map(str, range(count))


def _kernels_version() -> int:
    return 1  # LE_KERNELS_VERSION of the kernels that this writer was made for; le_model.c refuses any other


def _identifiers(plan: Plan) -> list[str]:
    """A C identifier for each step; with its number first, no suffix can make it that of another."""
    stems = [re.sub(r"\W", "_", step.layer.name.lower(), flags=re.ASCII) for step in plan.steps]
    return [f"layer_{index}_{stem[:40]}" for index, stem in enumerate(stems)]


def _tables(plan: Plan, *, divisible: bool) -> list[list[Table]]:
    return [
        tables.layer_tables(step.layer, name, divisible=divisible)
        for name, step in zip(_identifiers(plan), plan.steps, strict=True)
    ]


def _array(table: Table) -> str:
    head = f"/* {table.comment} */\nstatic LE_TABLE {table.c_type} {table.name}[{table.values.size}] = {{\n"
    suffix = "u" if table.c_type == "uint32_t" else ""
    return head + "\n".join(_rows(f"{_literal(int(value), suffix)}," for value in table.values.ravel())) + "\n};\n"


def _literal(value: int, suffix: str) -> str:
    """-2^31 has no literal of its own: it is minus a number that no int32 holds."""
    return "(-2147483647 - 1)" if value == -(2**31) else f"{value}{suffix}"


def _rows(words: Iterable[str]) -> Iterable[str]:
    line = "   "
    for word in words:
        if len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = "   "
        line += f" {word}"
    yield line


def _structures(name: str, step: Step, *, divisible: bool) -> str:
    """The structures of a step, one for each of its tables of weights."""
    layer = step.layer
    if isinstance(layer, (MaxPool2d, AveragePool2d)):
        body = f"{_windows(step)}, {step.clamp[0]}, {step.clamp[1]}"
        return f"static LE_TABLE le_pool2d {name} = {{\n    {body}\n}};\n"
    if not isinstance(layer, (Conv2d, DepthwiseConv2d, FullyConnected)):
        return ""
    runs = tables.slices_of(layer)
    texts = []
    for index, run in enumerate(runs):
        part = "" if len(runs) == 1 else f"_{index}"
        requantization = _requantization(step, name, run.start, divisible=divisible)
        texts.append(f"static LE_TABLE {_structure(step, name, part, len(run), requantization)}")
    return "".join(texts)


def _structure(step: Step, name: str, part: str, channels: int, requantization: str) -> str:
    layer = step.layer
    weights = f"{name}_weights{part}"
    if isinstance(layer, FullyConnected):
        head = f"{layer.weights.shape[1]}, {channels}, {weights}"
    else:
        head = f"{_windows(step)},\n    {channels}, "
        if isinstance(layer, DepthwiseConv2d):
            head += f"{len(layer.bias) // layer.input.shape[2]}, "
        head += weights
    return f"le_{_kind(step)} {name}{part} = {{\n    {head},\n    {requantization}\n}};\n"


def _requantization(step: Step, name: str, first: int, *, divisible: bool) -> str:
    at = f" + {first}" if first else ""
    shift = "NULL" if divisible else f"{name}_shift{at}"
    low, high = step.clamp
    return f"{{{name}_bias{at}, {name}_multiplier{at}, {shift}, {step.layer.output.zero_point}, {low}, {high}}}"


def _windows(step: Step) -> str:
    layer = step.layer
    assert isinstance(layer, (Conv2d, DepthwiseConv2d, MaxPool2d, AveragePool2d))
    by = windows_of(layer, step.pool)
    shapes = [", ".join(map(str, shape)) for shape in (step.input.shape, step.output.shape)]
    pairs = [f"{down}, {across}" for down, across in (by.kernel, by.stride, by.pool, by.step, by.padding, by.patch)]
    return f"{{{{{shapes[0]}}}, {{{shapes[1]}}}, {', '.join(pairs)}, {step.input.zero_point}}}"


def _kind(step: Step) -> str:
    return {
        Conv2d: "conv2d",
        DepthwiseConv2d: "depthwise_conv2d",
        FullyConnected: "fully_connected",
        MaxPool2d: "max_pool2d",
        AveragePool2d: "average_pool2d",
        Lookup: "lookup",
        Softmax: "softmax",
    }[type(step.layer)]


def _assertions(plan: Plan) -> Iterable[str]:
    """Each step's input, patch and output as runs of the workspace, in C's own arithmetic."""
    for index, step in enumerate(plan.steps):
        ordered = sorted(step.occupied)
        for (start, size), (following, _) in pairwise(ordered):
            yield f"LE_ASSERT(step_{index}_overlaps_at_{following}, {start} + {size} <= {following});"
        if ordered:
            start, size = ordered[-1]
            yield f"LE_ASSERT(step_{index}_fits, {start} + {size} <= LE_WORKSPACE_BYTES);"


def _case(name: str, index: int, step: Step) -> str:
    source = "image" if step.input_offset is None else f"memory + {step.input_offset}"
    target = "logits" if step.offset is None else f"memory + {step.offset}"
    shapes = f"{list(step.input.shape)} -> {list(step.output.shape)}"
    lines = [f"    case {index}: /* {_printable(', '.join(step.names).replace(', ', ' and '))}: {shapes} */"]
    lines += [f"        {call}" for call in _calls(name, step, source, target)]
    return "\n".join([*lines, "        break;"])


def _calls(name: str, step: Step, source: str, target: str) -> Iterable[str]:
    layer = step.layer
    if isinstance(layer, (Lookup, Softmax)):
        if source != target:
            yield f"memcpy({target}, {source}, {step.output_bytes});"
        table = f"{name}_table" if isinstance(layer, Lookup) else f"{name}_exponentials"
        at_once = step.output.shape[-1] if isinstance(layer, Softmax) else step.output_bytes  # its sum is over the last
        for start in range(0, step.output_bytes, at_once):
            yield f"le_{_kind(step)}_s8({table}, {target}{f' + {start}' if start else ''}, {at_once});"
        return
    if isinstance(layer, (MaxPool2d, AveragePool2d)):
        yield f"le_{_kind(step)}_s8(&{name}, {source}, {target});"
        return
    assert isinstance(layer, WEIGHTED)
    runs = tables.slices_of(layer)
    for index, run in enumerate(runs):
        part = "" if len(runs) == 1 else f"_{index}"
        at = f" + {run.start}" if run.start else ""
        patch = "" if isinstance(layer, FullyConnected) else f"memory + {step.patch_offset}, "
        yield f"le_{_kind(step)}_s8(&{name}{part}, {source}, {patch}{target}{at});"


def _view(index: int, step: Step) -> str:
    place = "NULL" if step.offset is None else f"memory + {step.offset}"
    return f"    case {index}:\n        *count = {step.output_bytes};\n        return {place};"


def _folds(table: Table) -> Iterable[str]:
    """A table of more than a uint16_t can count goes in pieces; only where `int` has 32 bits are there any."""
    size = len(tables.bytes_of(table))
    if size <= 0xFFFF:
        yield f"    crc = fold(crc, (LE_TABLE uint8_t *){table.name}, sizeof {table.name});"
        return
    for start in range(0, size, 0xFFFF):
        yield f"    crc = fold(crc, (LE_TABLE uint8_t *){table.name} + {start}, {min(0xFFFF, size - start)});"


def _escaped(text: str) -> str:
    """A string literal's inside: UTF-8 as octal escapes, which end after three digits whatever follows."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode()
    )
