"""The artefact folder of ``export --target c``: generated tables and call sequence, with the kernels they use."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes
from lenet_edge.formats.c_source import tables
from lenet_edge.formats.c_source.class_names import class_macros, class_tables, longest_bytes, names_of
from lenet_edge.formats.c_source.families import FAMILIES
from lenet_edge.formats.c_source.families.plain import kind_of
from lenet_edge.formats.c_source.in_place import rows_of
from lenet_edge.formats.c_source.naming import printable
from lenet_edge.formats.c_source.packing import BYTES, packed_bytes
from lenet_edge.formats.c_source.places import PlacedStep
from lenet_edge.formats.c_source.plan import Plan
from lenet_edge.formats.c_source.preparation import preparation_sources
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.formats.c_source.templates import (
    CMAKE_LISTS,
    CORTEX_M4_TUNING,
    EXAMPLE,
    FRAME_EXAMPLE,
    MODEL_HEADER,
    MODEL_SOURCE,
)
from lenet_edge.formats.c_source.wording import frame_words, words
from lenet_edge.preparation.frames import FrameShape
from lenet_edge.quantized.meaning import meaning_of
from lenet_edge.quantized.model import WEIGHTED, QTensor, QuantizedModel
from lenet_edge.version import __version__

__all__ = ["export", "facts", "weight_bytes"]

_WIDTH = 120
_MOST_OUTPUTS = 0x7FFF  # the class is an int, which has 16 bits somewhere
_MOST_INPUTS = 0xFFFFFF
_ALWAYS = ("shared/le_kernels.h", "shared/le_argmax.c", "shared/le_flip_sign.c")


def export(plan: Plan, firmware: Path, frames: FrameShape | None = None) -> dict[str, bytes]:
    """The files of the artefact, by name.

    Args:
        plan: of a model, tie-free or not.
        firmware: the folder with the C sources (firmware/).
        frames: of the camera in the example; with them there is `le_prepare`, too, which takes frames of any size.

    Raises:
        BadInputError: the model has a size or shape that the kernels do not take, or takes no pictures.
    """
    model = plan.model
    _require_ends(model)
    paths = {path.rpartition("/")[2]: firmware / "kernels" / path for path in _kernel_sources(plan)}
    sources = {name: read_bytes(paths[name], "the kernel") for name in sorted(paths)}
    if frames is not None:
        sources |= preparation_sources(model, firmware)
    compiled = sorted(name for name in sources if name.endswith((".c", ".S")))
    texts = {
        "le_model.h": _header(model, plan),
        "le_model.c": _source(model, plan),
        "CMakeLists.txt": CMAKE_LISTS.substitute(
            _common(model),
            languages="C ASM" if any(name.endswith(".S") for name in compiled) else "C",
            sources="\n".join(f"    {name}" for name in compiled),
            tuning=CORTEX_M4_TUNING if FAMILIES[plan.family].runs_on("cortex-m4") else "",
        ),
        "example/main.c": _example(model, frames),
    }
    return {name: text.encode() for name, text in texts.items()} | sources


def _example(model: QuantizedModel, frames: FrameShape | None) -> str:
    if frames is None:
        return EXAMPLE.substitute(words(model))
    return FRAME_EXAMPLE.substitute(words(model) | frame_words(frames))


def facts(plan: Plan) -> dict[str, Any]:
    """What the manifest says besides the files: sizes in bytes, and each step's layers, shape, MACs and kernel.

    "packing" is there where weights are packed: layer -> how.
    "outputs" is there where it is not the number of "classes".
    """
    model = plan.model
    steps = [
        {
            "layers": list(placed.step.names),
            "kind": kind_of(placed.step.layer),
            "output": list(placed.step.output.shape),
            "macs": placed.step.macs,
            "shows": placed.step.shows,
            "kernel": placed.kernel.name,
            "why_plain": placed.kernel.why_plain,
        }
        for placed in plan.steps
    ]
    meaning = meaning_of(model)
    return {
        "classes": len(meaning.classes) or meaning.outputs,
        **({"outputs": meaning.outputs} if meaning.kind == "binary" else {}),
        "family": plan.family,
        "input_bytes": math.prod(model.input.shape),
        **({"packing": plan.packings} if plan.packings else {}),
        "requantization": _requantization(plan),
        **({"like": model.metadata["like"]} if "like" in model.metadata else {}),
        "steps": steps,
        "table_bytes": sum(len(tables.bytes_of(table)) for table in plan.tables),
        "weight_bytes": weight_bytes(model, plan.packings),
        "workspace_bytes": _workspace_bytes(plan),
        "in_place_bytes": plan.in_place.bytes,
    }


def _requantization(plan: Plan) -> str:
    """How layers with weights round."""
    if plan.divisible:
        return "tie-free"
    rules = {placed.step.rule for placed in plan.steps if isinstance(placed.step.layer, WEIGHTED)}
    return "float32, half to even" if tables.FLOAT32 in rules else "double rounding"


def _workspace_bytes(plan: Plan) -> int:
    return max(plan.workspace_bytes, 4)  # C has no empty array


def _require_ends(model: QuantizedModel) -> None:
    if math.prod(model.input.shape) > _MOST_INPUTS:
        raise BadInputError(f"the model takes {list(model.input.shape)}; C export takes up to {_MOST_INPUTS} inputs")
    if math.prod(model.output.shape) > _MOST_OUTPUTS:
        raise BadInputError(f"the model gives {list(model.output.shape)}; C export takes up to {_MOST_OUTPUTS} outputs")


def _kernel_sources(plan: Plan) -> set[str]:
    return {*_ALWAYS, *(path for placed in plan.steps for path in placed.kernel.sources)}


def _common(model: QuantizedModel) -> dict[str, object]:
    return {
        "arch": printable(str(model.metadata.get("arch") or "model")),
        "fingerprint": model.fingerprint,
        "short": model.fingerprint[:16],
        "version": __version__,
    }


# --- le_model.h -----------------------------------------------------------------------------------


def _header(model: QuantizedModel, plan: Plan) -> str:
    all_tables = plan.tables
    return MODEL_HEADER.substitute(
        _common(model) | words(model),
        input_shape=_shape_macros(model.input.shape),
        input_bytes=math.prod(model.input.shape),
        input_scale=_decimal(model.input.scale),
        input_zero_point=model.input.zero_point,
        class_macros=class_macros(model),
        name_bytes=longest_bytes(names_of(model)),
        output_scale=_decimal(model.output.scale),
        output_zero_point=model.output.zero_point,
        parts=_part_macros("INPUT", model.inputs) + _part_macros("OUTPUT", model.outputs),
        workspace=_workspace_bytes(plan),
        in_place_bytes=plan.in_place.bytes,
        in_place_image=plan.in_place.image,
        steps=len(plan.steps),
        macs=sum(placed.step.macs for placed in plan.steps),
        table_bytes=sum(len(tables.bytes_of(table)) for table in all_tables),
        weight_bytes=weight_bytes(model, plan.packings),
        crc=f"0x{tables.crc32(all_tables):08x}",
    )


def _shape_macros(shape: tuple[int, ...]) -> str:
    """Height, width and channels of an input that has them."""
    names = ("HEIGHT", "WIDTH", "CHANNELS") if len(shape) == 3 else ()
    return "".join(f"#define LE_INPUT_{name} {size}\n" for name, size in zip(names, shape, strict=False))


def _part_macros(which: str, tensors: tuple[QTensor, ...]) -> str:
    """Of several inputs or outputs where each begins, its size and its scaling; nothing of a single one."""
    if len(tensors) == 1:
        return ""
    lines, offset = [""], 0
    for index, tensor in enumerate(tensors):
        size, head = math.prod(tensor.shape), f"#define LE_{which}_{index}"
        lines += [
            f"{head}_OFFSET {offset}",
            f"{head}_BYTES {size}",
            f"{head}_SCALE {_decimal(tensor.scale)}",
            f"{head}_ZERO_POINT ({tensor.zero_point})",
        ]
        offset += size
    return "\n".join([*lines, ""])


def weight_bytes(model: QuantizedModel, packings: Mapping[str, str] | None = None) -> int:
    """Bytes of the weights and of the biases (int32), what every implementation of the model has to keep.

    Args:
        packings: layer -> how its weights lie; those of the others are int8.
    """
    packings = packings or {}
    return sum(
        packed_bytes(layer, packings.get(layer.name, BYTES)) + 4 * layer.bias.size
        for layer in model.layers
        if isinstance(layer, WEIGHTED)
    )


def _decimal(scale: float) -> str:
    """A float32 as the shortest decimal that reads back to it."""
    return np.format_float_scientific(np.float32(scale), unique=True, trim="0")


# --- le_model.c -----------------------------------------------------------------------------------


def _source(model: QuantizedModel, plan: Plan) -> str:
    all_tables, steps = plan.tables, plan.steps
    headers = sorted({name for placed in steps for name in placed.kernel.headers})
    return MODEL_SOURCE.substitute(
        _common(model),
        kernels_version=_kernels_version(),
        headers="".join(f'#include "{name}"\n' for name in headers),
        **class_tables(names_of(model)),
        class_of=words(model)["class_of"],
        tables="\n".join(_array(table) for table in all_tables),
        layers="\n".join(placed.kernel.definitions for placed in steps if placed.kernel.definitions),
        assertions="\n".join(_assertions(plan)),
        cases="\n".join(_case(index, placed) for index, placed in enumerate(steps)),
        cases_in_place="\n".join(_case(index, placed) for index, placed in enumerate(plan.in_place.steps)),
        views="\n".join(_view(index, placed) for index, placed in enumerate(steps)),
        folds="\n".join(line for table in all_tables for line in _folds(table)),
    )


def _kernels_version() -> int:
    return 1  # LE_KERNELS_VERSION of the kernels that this writer was made for; le_model.c refuses any other


def _array(table: Table) -> str:
    head = f"/* {table.comment} */\nLE_DEFINE_TABLE({table.c_type}, {table.name}, {table.values.size},\n"
    *values, last = (_literal(int(value)) for value in table.values.ravel())
    return head + "\n".join(_rows([*(f"{value}," for value in values), f"{last});"])) + "\n"


def _literal(value: int) -> str:
    """-2^31 has no literal: it is minus a number that no int32 holds."""
    return "(-2147483647 - 1)" if value == -(2**31) else str(value)


def _rows(words: Iterable[str]) -> Iterable[str]:
    line = "   "
    for word in words:
        if len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = "   "
        line += f" {word}"
    yield line


def _assertions(plan: Plan) -> Iterable[str]:
    """Each step's input, scratch and output as runs of the workspace, in C's own arithmetic; the same in place."""
    yield from _apart(plan.steps, "step", "LE_WORKSPACE_BYTES")
    yield from _apart(plan.in_place.steps, "in_place_step", "LE_IN_PLACE_BYTES")
    yield from _growing(plan.steps, "step")
    yield from _growing(plan.in_place.steps, "in_place_step")


def _growing(steps: Sequence[PlacedStep], name: str) -> Iterable[str]:
    for index, placed in enumerate(steps):
        if placed.grows_over_input:
            source, target = placed.sources[0].offset, placed.target.offset
            for row, rows in enumerate(rows_of(placed.step, placed.kernel.rows_at_once)):
                behind = f"{target} + {rows.written} <= {source} + {rows.dead}"
                yield f"LE_ASSERT({name}_{index}_grows_{row}, {behind});"


def _apart(steps: Sequence[PlacedStep], name: str, size_of_all: str) -> Iterable[str]:
    for index, placed in enumerate(steps):
        ordered = sorted(placed.occupied)
        for (start, size), (following, _) in pairwise(ordered):
            yield f"LE_ASSERT({name}_{index}_overlaps_at_{following}, {start} + {size} <= {following});"
        if ordered:
            start, size = ordered[-1]
            yield f"LE_ASSERT({name}_{index}_fits, {start} + {size} <= {size_of_all});"


def _case(index: int, placed: PlacedStep) -> str:
    step = placed.step
    sources = tuple(place.expression for place in placed.sources)
    scratch = f"memory + {placed.scratch_offset}"
    shapes = f"{', '.join(str(list(tensor.shape)) for tensor in step.inputs)} -> {list(step.output.shape)}"
    lines = [f"    case {index}: /* {printable(', '.join(step.names).replace(', ', ' and '))}: {shapes} */"]
    lines += [f"        {call}" for call in placed.kernel.calls(sources, placed.target.expression, scratch)]
    return "\n".join([*lines, "        break;"])


def _view(index: int, placed: PlacedStep) -> str:
    place = "NULL" if placed.offset is None else f"memory + {placed.offset}"
    return f"    case {index}:\n        *count = {placed.step.output_bytes};\n        return {place};"


def _folds(table: Table) -> Iterable[str]:
    """A table of more than a uint16_t can count goes in pieces; only where `int` has 32 bits are there any."""
    size = len(tables.bytes_of(table))
    if size <= 0xFFFF:
        yield f"    crc = fold(crc, (LE_TABLE uint8_t *){table.name}, sizeof {table.name});"
        return
    for start in range(0, size, 0xFFFF):
        yield f"    crc = fold(crc, (LE_TABLE uint8_t *){table.name} + {start}, {min(0xFFFF, size - start)});"
